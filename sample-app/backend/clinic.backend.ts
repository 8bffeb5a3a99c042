import type { MedplumModuleOptions } from 'nestjs-medplum';
import type { ClinicAccount } from '../auth/clinic-account';

/** A login that exists only in this process. */
export interface DemoLogin {
  readonly name: string;
  /** Random for each start. */
  readonly password: string;
  readonly role: string;
  readonly organization: string;
  /** `ProjectMembership/<id>` */
  readonly membership: string;
  /** `Practitioner/<id>` or `Patient/<id>`, which Medplum writes into `meta.onBehalfOf`. */
  readonly profile: string;
}

/** The Medplum server that the clinic works with, and the accounts that may log in to the clinic. */
export abstract class ClinicBackend {
  abstract readonly medplum: MedplumModuleOptions;
  abstract readonly accounts: readonly ClinicAccount[];
  /** Empty, unless this process started the embedded Medplum itself. */
  readonly demoLogins: readonly DemoLogin[] = [];
}
