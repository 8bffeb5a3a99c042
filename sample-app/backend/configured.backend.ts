import { Logger } from '@nestjs/common';
import type { ClinicAccount } from '../auth/clinic-account';
import type { MedplumSettings } from '../config/clinic.settings';
import { ClinicBackend } from './clinic.backend';
import { readUsersFile } from './users.file';

/** A Medplum server that exists already. It has no demo logins. */
export class ConfiguredBackend extends ClinicBackend {
  private constructor(
    readonly medplum: MedplumSettings,
    readonly accounts: readonly ClinicAccount[],
  ) {
    super();
  }

  /** @throws ClinicSettingsError if the users file is not usable. */
  static async connect(medplum: MedplumSettings, usersFile: string | undefined): Promise<ConfiguredBackend> {
    if (usersFile === undefined) {
      new Logger(ConfiguredBackend.name).warn(
        'Nobody can log in, because there is no users file. Set CLINIC_USERS_FILE (see sample-app/README.md).',
      );
    }
    return new ConfiguredBackend(medplum, usersFile === undefined ? [] : await readUsersFile(usersFile));
  }
}
