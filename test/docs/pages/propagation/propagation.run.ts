/** Runs the examples of the page: what it calls wrong is refused, and what it calls right acts as the right member. */
import 'reflect-metadata';
import { deepStrictEqual, strictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { isMedplumError, MedplumModule, MedplumService } from 'nestjs-medplum';
import { expectAllRequestsOnBehalfOf, MedplumEmulator } from 'nestjs-medplum/testing';
import { both } from './at-the-same-time.js';
import { awaited, fireAndForget, handedOn } from './late.js';
import { Pool } from './pool.js';

@Module({})
class AppModule {}

const codeOf = (error: unknown): string => (isMedplumError(error) ? error.code : String(error));

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const policy = [{ resourceType: 'Patient' as const, criteria: 'Patient?gender=female' }];
  const ann = await emulator.createMember({ profile: { resourceType: 'Practitioner' }, policy });
  const ben = await emulator.createMember({ profile: { resourceType: 'Practitioner' }, policy: [] });
  const { id } = await emulator.createResource({ resourceType: 'Patient', gender: 'female' });
  const app = await NestFactory.createApplicationContext(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options())], providers: [Pool] },
    { logger: ['error', 'warn'] },
  );
  const medplum = app.get(MedplumService);
  const pool = app.get(Pool);

  const [ofAnn, ofBen] = await both(medplum, ann.membership, ben.membership, id);
  deepStrictEqual([ofAnn?.status, ofBen?.status], ['fulfilled', 'rejected']);

  emulator.clearRequests();
  medplum.onBehalfOf(ann.membership, () => {
    pool.wrong(id);
    pool.bound(id);
    pool.explicit(id, ann.membership);
    pool.acting(id, ann.membership);
  });
  const [wrong, ...right] = await pool.drain();
  strictEqual(wrong?.status === 'rejected' && codeOf(wrong.reason), 'MEDPLUM_ON_BEHALF_OF_REQUIRED');
  deepStrictEqual(
    right.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled'],
  );

  const finished = new Promise<void>((resolve) => setImmediate(resolve));
  const late = await fireAndForget(medplum, ann.membership, id, finished).catch(codeOf);
  strictEqual(late, 'MEDPLUM_ON_BEHALF_OF_REQUIRED');
  for (const way of [awaited, handedOn]) {
    strictEqual((await way(medplum, ann.membership, id, finished)).id, id);
  }
  expectAllRequestsOnBehalfOf(emulator, ann.membership);
  strictEqual(emulator.requests.length, 5);
  await app.close();
  await emulator.close();
}
