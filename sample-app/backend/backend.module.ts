import { Module } from '@nestjs/common';
import { type ClinicConfig, clinicConfig } from '../config/clinic.config';
import { ClinicBackend } from './clinic.backend';
import { ConfiguredBackend } from './configured.backend';
import { EmbeddedBackend } from './embedded.backend';

/** Chooses the Medplum server: the one that the environment names, else an embedded one. */
@Module({
  providers: [
    {
      provide: ClinicBackend,
      inject: [clinicConfig.KEY],
      useFactory: ({ medplum, usersFile }: ClinicConfig): Promise<ClinicBackend> =>
        medplum ? ConfiguredBackend.connect(medplum, usersFile) : EmbeddedBackend.start(),
    },
  ],
  exports: [ClinicBackend],
})
export class BackendModule {}
