/** Runs what the page shows: which failed writes are certain to have done nothing, and a filter with a text of its own. */
import 'reflect-metadata';
import { deepStrictEqual } from 'node:assert';
import { Controller, Get, Module } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { ClinicExceptionFilter } from './clinic-exception.filter.js';
import { save } from './save.js';

@Controller()
@OnBehalfOf('ProjectMembership/00000000-001a-4722-afa1-0581d2c52a87')
class PatientController {
  constructor(private readonly medplum: MedplumService) {}

  @Get()
  read() {
    return this.medplum.readResource('Patient', '1', { retry: { maxRetries: 0 } });
  }
}

@Module({})
class AppModule {}

export async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const ann = await emulator.createMember({
    profile: { resourceType: 'Practitioner' },
    policy: [{ resourceType: 'Task' }],
  });
  const app = await NestFactory.create(
    {
      module: AppModule,
      imports: [MedplumModule.forRoot({ ...emulator.options(), exceptionFilter: false })],
      controllers: [PatientController],
      providers: [{ provide: APP_FILTER, useClass: ClinicExceptionFilter }],
    },
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  const medplum = app.get(MedplumService);
  const store = () =>
    medplum.onBehalfOf(ann.membership, () =>
      save(medplum, { resourceType: 'Task', status: 'requested', intent: 'order' }),
    );
  const results: string[] = [await store()];
  emulator.injectFault({ method: 'POST', path: '/fhir/R4/Task', status: 403, times: 1 });
  results.push(await store());
  emulator.injectFault({ method: 'POST', path: '/fhir/R4/Task', reset: 'before-answer', times: 1 });
  results.push(await store());
  deepStrictEqual(results, ['saved', 'failed', 'look']);

  emulator.injectFault({ path: '/fhir/R4/Patient/1', status: 500, times: 1 });
  const response = await fetch(await app.getUrl());
  const { message } = (await response.json()) as { message: string };
  deepStrictEqual([response.status, message], [502, 'Please call the front desk.']);
  await app.close();
  await emulator.close();
}
