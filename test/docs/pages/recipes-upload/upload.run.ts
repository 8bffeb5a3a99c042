/** Runs the controller over HTTP: a document comes back as it was sent, and not to somebody who may not read it. */
import 'reflect-metadata';
import { deepStrictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MedplumModule } from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { DocumentsController } from './documents.controller.js';

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const profile = { resourceType: 'Practitioner' as const };
  const types = ['Patient', 'DocumentReference', 'Binary'].map((resourceType) => ({ resourceType }));
  const ann = await emulator.createMember({ profile, policy: types });
  const ben = await emulator.createMember({ profile, policy: [] });
  const { id: patient } = await emulator.createResource({ resourceType: 'Patient' });
  const app = await NestFactory.create(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options())], controllers: [DocumentsController] },
    { logger: false },
  );
  let { membership } = ann;
  app.use((request: object, _response: unknown, next: () => void) => {
    Object.assign(request, { user: { membership } });
    next();
  });
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/documents`;
  const headers = { 'content-type': 'application/pdf' };
  const stored = await fetch(`${url}/${patient}`, { method: 'POST', headers, body: '%PDF-1.7 made up' });
  const { id } = (await stored.json()) as { id: string };
  const content = await fetch(`${url}/${id}/content`);
  deepStrictEqual([stored.status, content.status, await content.text()], [201, 200, '%PDF-1.7 made up']);
  membership = ben.membership;
  const hidden = await fetch(`${url}/${id}/content`);
  deepStrictEqual([hidden.ok, (await hidden.text()).includes('made up')], [false, false]);
  await app.close();
  await emulator.close();
}
