import type { ClinicAccount } from '../../../sample-app/auth/clinic-account';
import { hashPassword } from '../../../sample-app/auth/password.hash';
import { ClinicBackend } from '../../../sample-app/backend/clinic.backend';

/** Accounts without a Medplum server: enough for logins, which do not call Medplum. */
export class AccountsOnlyBackend extends ClinicBackend {
  readonly medplum = { baseUrl: 'http://127.0.0.1:9/', clientId: 'client-1', clientSecret: 'secret-1' };

  private constructor(readonly accounts: readonly ClinicAccount[]) {
    super();
  }

  /** Makes an account for each name. All of them have the same password. */
  static async make(names: readonly string[], password: string): Promise<AccountsOnlyBackend> {
    const passwordHash = await hashPassword(password);
    return new AccountsOnlyBackend(
      names.map((name) => ({ name, passwordHash, membership: `ProjectMembership/of-${name}` })),
    );
  }
}
