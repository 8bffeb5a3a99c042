/** An app with `@nestjs/terminus` and a health endpoint; see consumer.ts. */
import 'reflect-metadata';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { MedplumConfigError, MedplumModule, type MedplumModuleOptions } from 'nestjs-medplum';
import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';

/** Stands in for Medplum: has one membership, of a project admin. */
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'application/fhir+json');
  const resource = { resourceType: 'ProjectMembership', id: 'm1', admin: true };
  response.end(JSON.stringify({ resourceType: 'Bundle', type: 'searchset', entry: [{ resource }] }));
});

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly medplum: MedplumHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  async check() {
    const result = await this.health.check([() => this.medplum.isHealthy('medplum')]);
    // @ts-expect-error: the state is up or down, not any.
    void ((await this.medplum.isHealthy('medplum')).medplum.status === 'sideways');
    return result;
  }
}

@Module({
  imports: [
    MedplumModule.forRootAsync({
      useFactory: (): MedplumModuleOptions => ({
        baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
        clientId: 'client',
        clientSecret: 'not-a-secret',
      }),
    }),
    TerminusModule,
    MedplumHealthModule.forRoot({ ttl: 60_000 }),
  ],
  controllers: [HealthController],
})
class AppModule {}

async function main(): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const answer = await fetch(`${await app.getUrl()}/health`);
  const body: unknown = await answer.json();
  const refusal: unknown = await app
    .get(MedplumHealthIndicator)
    .isHealthy('medplum', { client: 'unknown' })
    .catch((error: unknown) => error);
  await app.close();
  server.close();
  console.log(JSON.stringify({ status: answer.status, body, refused: refusal instanceof MedplumConfigError }));
}

void main();
