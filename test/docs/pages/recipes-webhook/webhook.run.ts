/** Delivers a patient twice, with a wrong secret, and a delete that has not happened, to the handler of the page. */
import 'reflect-metadata';
import { deepStrictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { enableFhirJson, MedplumModule } from 'nestjs-medplum';
import { expectAllRequestsOnBehalfOf, MedplumEmulator } from 'nestjs-medplum/testing';
import { HooksController } from './hooks.controller.js';
import { deliver, deliverDelete } from './hooks.e2e.spec.js';

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const secret = 'the secret of the Subscription';
  process.env['PATIENT_HOOK_SECRET'] = secret;
  // The membership that the page names.
  const id = '00000000-001a-4722-afa1-0581d2c52a87';
  const emulator = await MedplumEmulator.start({
    fixtures: {
      projects: [{ name: 'P' }],
      clients: [{ name: 'C', project: 'P', admin: true }],
      resources: [{ name: 'ROBOT', project: 'P', resource: { resourceType: 'Practitioner' } }],
      memberships: [{ name: 'M', id, project: 'P', profile: 'ROBOT' }],
    },
  });
  const app = await NestFactory.create(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options('C'))], controllers: [HooksController] },
    { rawBody: true, logger: ['error', 'warn'] },
  );
  enableFhirJson(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const patient = await emulator.createResource({ resourceType: 'Patient', active: true });
  emulator.clearRequests();
  deepStrictEqual(
    [
      await deliver(url, secret, patient),
      await deliver(url, secret, patient),
      await deliver(url, 'another secret', patient),
    ],
    [204, 204, 401],
  );
  deepStrictEqual(
    emulator.requests.map(({ method }) => method),
    ['GET', 'POST'],
  );
  deepStrictEqual(await deliverDelete(url, secret, `Patient/${patient.id}`), 409);
  expectAllRequestsOnBehalfOf(emulator, `ProjectMembership/${id}`);
  await app.close();
  await emulator.close();
}
