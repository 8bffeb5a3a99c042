/** A test with the optional peers of `nestjs-medplum/testing`; see consumer.ts. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MedplumModule, MedplumService } from 'nestjs-medplum';
import { MedplumEmulator } from 'nestjs-medplum/testing';

@Module({})
class AppModule {}

async function main(): Promise<void> {
  const emulator = await MedplumEmulator.start();
  const member = await emulator.createMember({
    profile: { resourceType: 'Practitioner', name: [{ given: ['Ada'], family: 'Arzt' }] },
    policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }],
  });
  const patient = await emulator.createResource({ resourceType: 'Patient', gender: 'female' });
  const app = await NestFactory.createApplicationContext(
    { module: AppModule, imports: [MedplumModule.forRoot(emulator.options())] },
    { logger: ['error', 'warn'] },
  );
  const read = await app.get(MedplumService).readResource('Patient', patient.id, { onBehalfOf: member.membership });
  await app.close();
  await emulator.close();
  console.log(JSON.stringify({ gender: read.gender }));
}

void main();
