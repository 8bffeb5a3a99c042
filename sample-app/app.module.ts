import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { MedplumModule } from 'nestjs-medplum';
import { AuditModule } from './audit/audit.module';
import { AuthModule } from './auth/auth.module';
import { BackendModule } from './backend/backend.module';
import { ClinicBackend } from './backend/clinic.backend';
import { clinicConfig } from './config/clinic.config';
import { HealthModule } from './health/health.module';
import { ObservationsModule } from './observations/observations.module';
import { PatientsModule } from './patients/patients.module';
import { StatusModule } from './status/status.module';
import { UndecoratedModule } from './undecorated/undecorated.module';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true, load: [clinicConfig] }),
    MedplumModule.forRootAsync({
      // The one handler without a word is there to show what becomes of its call. Terminus asks as the client itself.
      routes: { mode: 'enforce', exclude: ['UndecoratedController', 'HealthController'] },
      imports: [BackendModule],
      inject: [ClinicBackend],
      useFactory: (backend: ClinicBackend) => backend.medplum,
    }),
    AuthModule,
    AuditModule,
    PatientsModule,
    ObservationsModule,
    StatusModule,
    HealthModule,
    UndecoratedModule,
  ],
})
export class AppModule {}
