import { Logger } from '@nestjs/common';
import type { ClinicAccount } from '../auth/clinic-account';
import type { MedplumSettings } from '../config/clinic.settings';
import { ClinicBackend } from './clinic.backend';
import { readUsersFile } from './users.file';

/** A Medplum server that is there already. It brings no demo logins. */
export class ConfiguredBackend extends ClinicBackend {
  private constructor(
    readonly medplum: MedplumSettings,
    readonly accounts: readonly ClinicAccount[],
  ) {
    super();
  }

  /** @throws ClinicSettingsError when the file of users cannot be used. */
  static async connect(medplum: MedplumSettings, usersFile: string | undefined): Promise<ConfiguredBackend> {
    if (usersFile === undefined) {
      new Logger(ConfiguredBackend.name).warn('Nobody can log in: set CLINIC_USERS_FILE (see sample-app/README.md).');
    }
    return new ConfiguredBackend(medplum, usersFile === undefined ? [] : await readUsersFile(usersFile));
  }
}
