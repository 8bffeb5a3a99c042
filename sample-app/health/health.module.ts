import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { MedplumHealthModule } from 'nestjs-medplum/terminus';
import { HealthController } from './health.controller';

@Module({ imports: [TerminusModule, MedplumHealthModule], controllers: [HealthController] })
export class HealthModule {}
