/** Runs the quick start: the user's patient is read, that of somebody else is not there, and a request without a user is refused. */
import 'reflect-metadata';
import { deepStrictEqual } from 'node:assert';
import type { ExecutionContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { expectAllRequestsOnBehalfOf, MedplumEmulator } from 'nestjs-medplum/testing';
import { AuthGuard } from './auth.guard.js';

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const { baseUrl, clientId, clientSecret } = emulator.options();
  Object.assign(process.env, {
    MEDPLUM_BASE_URL: baseUrl,
    MEDPLUM_CLIENT_ID: clientId,
    MEDPLUM_CLIENT_SECRET: clientSecret,
  });
  const { AppModule } = await import('./app.module.js');
  const ann = await emulator.createMember({
    profile: { resourceType: 'Practitioner' },
    policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }],
  });
  const marge = await emulator.createResource({ resourceType: 'Patient', gender: 'female' });
  const homer = await emulator.createResource({ resourceType: 'Patient', gender: 'male' });
  let user: object | undefined = { membership: ann.membership };
  const canActivate = (context: ExecutionContext): boolean => {
    Object.assign(context.switchToHttp().getRequest<object>(), { user });
    return true;
  };
  const moduleRef = await Test.createTestingModule({ imports: [AppModule] })
    .overrideGuard(AuthGuard)
    .useValue({ canActivate })
    .compile();
  const app = moduleRef.createNestApplication({ logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const get = async (id: string): Promise<number> => (await fetch(`${await app.getUrl()}/patients/${id}`)).status;
  emulator.clearRequests();
  const statuses = [await get(marge.id), await get(homer.id)];
  const patients = emulator.requests.filter(({ path }) => path.includes('/Patient/'));
  expectAllRequestsOnBehalfOf({ requests: patients }, ann.membership);
  user = undefined;
  statuses.push(await get(marge.id));
  deepStrictEqual(statuses, [200, 404, 401]);
  await app.close();
  await emulator.close();
}
