import { Module } from '@nestjs/common';
import { PatientsModule } from '../patients/patients.module';
import { UndecoratedController } from './undecorated.controller';

@Module({ imports: [PatientsModule], controllers: [UndecoratedController] })
export class UndecoratedModule {}
