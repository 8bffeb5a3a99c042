/** Runs the client of `@medplum/core` as the page shows it: in a scope it acts as the member, outside it is refused. */
import 'reflect-metadata';
import { strictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MedplumModule, MedplumService } from 'nestjs-medplum';
import { expectAllRequestsOnBehalfOf, MedplumEmulator } from 'nestjs-medplum/testing';

@Module({})
class AppModule {}

async function main(): Promise<void> {
  const { providers } = await import('./main.js');
  const { CoreClient } = await import('./core-client.js');
  const emulator = await MedplumEmulator.start();
  const ann = await emulator.createMember({
    profile: { resourceType: 'Practitioner' },
    policy: [{ resourceType: 'Patient' }],
  });
  const { id } = await emulator.createResource({ resourceType: 'Patient' });
  const app = await NestFactory.createApplicationContext(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options())], providers },
    { logger: ['error', 'warn'] },
  );
  emulator.clearRequests();
  const read = () => app.get(CoreClient).readResource('Patient', id);
  strictEqual((await app.get(MedplumService).onBehalfOf(ann.membership, read)).id, id);
  const refused = await read().then(
    () => false,
    () => true,
  );
  strictEqual(refused, true);
  expectAllRequestsOnBehalfOf(emulator, ann.membership);
  await app.close();
  await emulator.close();
}

void main();
