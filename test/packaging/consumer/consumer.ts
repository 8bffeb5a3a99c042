/**
 * A small app with only the package and its required peers. consumers.package-spec.ts
 * compiles it against the packed tarball, as a CommonJS and as an ES module, and runs it with plain node.
 */
import 'reflect-metadata';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  Param,
  Post,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  enableFhirJson,
  fromUser,
  isMedplumError,
  MedplumAudit,
  MedplumModule,
  type MedplumModuleOptions,
  MedplumService,
  OnBehalfOf,
  OnBehalfOfRequiredError,
  type RequestEvent,
} from 'nestjs-medplum';
import type { Patient } from 'nestjs-medplum/fhirtypes';
import { MedplumWebhook, type MedplumWebhookEvent, WebhookEvent } from 'nestjs-medplum/webhooks';

/** Stands in for Medplum: responds to every read and records its identity. */
const actedFor: unknown[] = [];
const medplum = createServer((request, response) => {
  actedFor.push(request.headers['x-medplum-on-behalf-of']);
  response.setHeader('content-type', 'application/fhir+json');
  response.end(JSON.stringify({ resourceType: 'Patient', id: 'p1', name: [{ family: 'Simpson' }] }));
});

const SECRET = 'the secret of the Subscription';
const delivered: unknown[] = [];

@Injectable()
class LoginGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request: { user?: unknown } = context.switchToHttp().getRequest();
    request.user = { membership: 'm1' };
    return true;
  }
}

@Injectable()
class ChartService {
  constructor(private readonly service: MedplumService) {}

  async family(id: string): Promise<string> {
    const patient = await this.service.readResource('Patient', id);
    // @ts-expect-error: the type is that of a Patient, not any.
    void patient.notAnElement;
    const { name }: Patient = patient;
    const family: string | undefined = name?.[0]?.family;
    return family ?? 'unknown';
  }

  async rename(patient: Patient, family: string): Promise<void> {
    await this.service.updateResource({ ...patient, name: [{ family }] });
    // @ts-expect-error: FHIR has no such element.
    await this.service.updateResource({ resourceType: 'Patient', id: '1', nmae: [{ family }] });
  }
}

@Controller('charts')
class ChartController {
  constructor(private readonly charts: ChartService) {}

  @Get(':id')
  @UseGuards(LoginGuard)
  @OnBehalfOf(fromUser('membership'))
  async read(@Param('id') id: string): Promise<{ family: string }> {
    return { family: await this.charts.family(id) };
  }

  @Post('changed')
  @MedplumWebhook({ resourceType: 'Patient', secret: SECRET, onBehalfOf: 'ProjectMembership/m2' })
  changed(@WebhookEvent() event: MedplumWebhookEvent<Patient>): void {
    if (event.interaction !== 'delete') {
      delivered.push(event.resource.name?.[0]?.family);
    }
    // @ts-expect-error: a resource that was deleted is not there.
    void event.resource.name;
  }
}

@Module({
  imports: [
    MedplumModule.forRootAsync({
      useFactory: (): MedplumModuleOptions => ({
        baseUrl: `http://127.0.0.1:${(medplum.address() as AddressInfo).port}/`,
        clientId: 'client',
        clientSecret: 'not-a-secret',
      }),
    }),
  ],
  controllers: [ChartController],
  providers: [ChartService],
})
class AppModule {}

async function main(): Promise<void> {
  await new Promise<void>((resolve) => medplum.listen(0, '127.0.0.1', resolve));
  const app = enableFhirJson(await NestFactory.create(AppModule, { logger: ['error', 'warn'], rawBody: true }));
  const events: RequestEvent[] = [];
  app.get(MedplumAudit).events$.subscribe((event) => events.push(event));
  await app.listen(0, '127.0.0.1');
  const answer = await fetch(`${await app.getUrl()}/charts/p1`);
  const body: unknown = await answer.json();
  const delivery = JSON.stringify({ resourceType: 'Patient', id: 'p1', meta: { versionId: '1' } });
  const signature = createHmac('sha256', SECRET).update(delivery).digest('hex');
  const headers = { 'content-type': 'application/fhir+json', 'x-signature': signature };
  await fetch(`${await app.getUrl()}/charts/changed`, { method: 'POST', headers, body: delivery });
  const refusal: unknown = await app
    .get(MedplumService)
    .readResource('Patient', 'p1')
    .catch((error: unknown) => error);
  await app.close();
  medplum.close();
  console.log(
    JSON.stringify({
      status: answer.status,
      body,
      actedFor,
      delivered,
      refused: refusal instanceof OnBehalfOfRequiredError && isMedplumError(refusal),
      events: events.length,
    }),
  );
}

void main();
