/** Runs the controller over HTTP: create, list, rename, a conflict of versions, delete, and a request without a user. */
import 'reflect-metadata';
import { deepStrictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { enableFhirJson, MedplumModule } from 'nestjs-medplum';
import { expectAllRequestsOnBehalfOf, MedplumEmulator } from 'nestjs-medplum/testing';
import { AuthGuard } from './auth.guard.js';
import { PatientsController } from './patients.controller.js';

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const policy = [{ resourceType: 'Patient' as const }];
  const ann = await emulator.createMember({ profile: { resourceType: 'Practitioner' }, policy });
  const app = enableFhirJson(
    await NestFactory.create(
      {
        module: AppModule,
        imports: [MedplumModule.forRoot(emulator.options())],
        controllers: [PatientsController],
        providers: [AuthGuard],
      },
      { logger: ['error', 'warn'] },
    ),
  );
  await app.listen(0, '127.0.0.1');
  app.get(AuthGuard).users.set('Bearer ann', { membership: ann.membership });
  // Nest makes the guard of a controller for its module, which is this one.
  const url = `${await app.getUrl()}/patients`;
  const send = async (method: string, path: string, body?: object, token = 'Bearer ann') => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: token, 'content-type': 'application/fhir+json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
  };
  emulator.clearRequests();
  const created = await send('POST', '', { family: 'Simpson' });
  const id = String(created.body?.['id']);
  const { versionId } = created.body?.['meta'] as { versionId: string };
  const found = await send('GET', '?name=Simpson');
  const renamed = await send('PUT', `/${id}`, { family: 'Bouvier', version: versionId });
  const conflict = await send('PUT', `/${id}`, { family: 'Szyslak', version: versionId });
  const removed = await send('DELETE', `/${id}`);
  const nobody = await send('GET', `/${id}`, undefined, '');
  deepStrictEqual(
    [created, found, renamed, conflict, removed, nobody].map(({ status }) => status),
    [201, 200, 200, 412, 204, 401],
  );
  deepStrictEqual(
    (found.body as unknown as { id: string }[]).map((one) => one.id),
    [id],
  );
  expectAllRequestsOnBehalfOf(emulator, ann.membership);
  await app.close();
  await emulator.close();
}
