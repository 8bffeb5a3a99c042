/** Runs the listener and both sinks of the page: each of them gets the event of a call. */
import 'reflect-metadata';
import { deepStrictEqual, strictEqual } from 'node:assert';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MedplumModule, MedplumService } from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { KeepInMedplum } from './keep-in-medplum.js';
import { TableSink } from './table.sink.js';
import { Trail } from './trail.js';

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const ann = await emulator.createMember({
    profile: { resourceType: 'Practitioner' },
    policy: [{ resourceType: 'Patient' }],
  });
  const { id } = await emulator.createResource({ resourceType: 'Patient' });
  const rows: object[] = [];
  const insert = async (more: readonly object[]): Promise<void> => void rows.push(...more);
  const app = await NestFactory.createApplicationContext(
    {
      module: AppModule,
      imports: [MedplumModule.forRoot({ ...emulator.options(), audit: { sinks: [new TableSink(insert)] } })],
      providers: [Trail, KeepInMedplum],
    },
    { logger: ['error', 'warn'] },
  );
  await app.get(MedplumService).readResource('Patient', id, { onBehalfOf: ann.membership });
  const { records } = app.get(Trail);
  await app.close(); // Waiting events are written first.
  const read = { action: 'read', resourceId: id, onBehalfOf: ann.membership, outcome: 'success' };
  for (const [first] of [records, rows]) {
    deepStrictEqual({ ...first, ...read }, first);
  }
  strictEqual(rows.length, 1);
  const stored = emulator.requests.filter(({ method, path }) => method !== 'GET' && path.startsWith('/fhir/R4'));
  deepStrictEqual(
    stored.map(({ onBehalfOf, status }) => ({ onBehalfOf, ok: status !== undefined && status < 300 })),
    [{ onBehalfOf: undefined, ok: true }],
  );
  await emulator.close();
}
