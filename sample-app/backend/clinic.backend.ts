import type { MedplumModuleOptions } from 'nestjs-medplum';
import type { ClinicAccount } from '../auth/clinic-account';

/** A login that exists in this process only. */
export interface DemoLogin {
  readonly name: string;
  /** Random, made at this start. */
  readonly password: string;
  readonly role: string;
  readonly organization: string;
  /** `ProjectMembership/<id>` */
  readonly membership: string;
  /** `Practitioner/<id>` or `Patient/<id>`: what Medplum writes into `meta.onBehalfOf`. */
  readonly profile: string;
}

/** The Medplum that the clinic works with, and who may log in to the clinic. */
export abstract class ClinicBackend {
  abstract readonly medplum: MedplumModuleOptions;
  abstract readonly accounts: readonly ClinicAccount[];
  /** None, unless this process started the embedded Medplum itself. */
  readonly demoLogins: readonly DemoLogin[] = [];
}
