/** Runs the examples of the page that the embedded Medplum can answer. */
import 'reflect-metadata';
import { deepStrictEqual, strictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MedplumModule, MedplumService } from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { assign } from './assign.js';
import { candidates } from './candidates.js';
import { register } from './register.js';
import { rename } from './rename.js';

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const ann = await emulator.createMember({
    profile: { resourceType: 'Practitioner' },
    policy: [{ resourceType: 'Patient' }, { resourceType: 'Encounter' }],
  });
  const app = await NestFactory.createApplicationContext(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options())] },
    { logger: ['error', 'warn'] },
  );
  const medplum = app.get(MedplumService);
  const policy = await emulator.createResource({ resourceType: 'AccessPolicy', name: 'more' });
  await medplum.onBehalfOf(ann.membership, async () => {
    deepStrictEqual(await register(medplum, 'Simpson, Homer'), ['201', '201'].map(Number));
    const found = await medplum.searchResources('Patient');
    await medplum.patchResource('Patient', found[0]?.id ?? '', [
      { op: 'add', path: '/birthDate', value: '1980-05-12' },
      { op: 'add', path: '/identifier', value: [{ system: 'urn:mrn', value: '2' }] },
    ]);
    const ids: string[] = [];
    for await (const { id } of candidates(medplum, 'Simpson, Homer')) {
      ids.push(id);
    }
    deepStrictEqual(ids, [found[0]?.id]);
    const renamed = await rename(medplum, ids[0] ?? '', 'Bouvier');
    strictEqual(renamed.name?.[0]?.family, 'Bouvier');
  });
  const { updated } = await assign(medplum, ann.membership, policy.id, 'clinic-1');
  strictEqual(updated, true);
  await app.close();
  await emulator.close();
}
