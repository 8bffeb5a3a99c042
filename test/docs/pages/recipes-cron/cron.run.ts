/** Runs what the page shows for many members: each of them counts only what their own policy shows. */
import 'reflect-metadata';
import { deepStrictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MedplumAudit, MedplumModule } from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { Reports } from './reports.js';

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const member = (gender: string) =>
    emulator.createMember({
      profile: { resourceType: 'Practitioner' },
      policy: [{ resourceType: 'Patient', criteria: `Patient?gender=${gender}` }],
    });
  const [ann, ben] = [await member('female'), await member('male')];
  await emulator.createResource({ resourceType: 'Patient', gender: 'female' });
  const app = await NestFactory.createApplicationContext(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options())], providers: [Reports] },
    { logger: ['error', 'warn'] },
  );
  const sources: (string | undefined)[] = [];
  const reasons: (string | undefined)[] = [];
  app.get(MedplumAudit).events$.subscribe(({ identitySource, reason }) => {
    sources.push(identitySource);
    reasons.push(reason);
  });
  const counts = await app.get(Reports).forEach([ann.membership, ben.membership]);
  deepStrictEqual([...counts.values()], [1, 0]);
  await app.get(Reports).weekly();
  deepStrictEqual(sources, ['default', 'default', 'client-application']);
  deepStrictEqual(reasons.at(-1), 'weekly statistics');
  await app.close();
  await emulator.close();
}
