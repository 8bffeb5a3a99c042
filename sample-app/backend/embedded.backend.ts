import type { OnApplicationShutdown } from '@nestjs/common';
import type { MedplumModuleOptions } from 'nestjs-medplum';
// Only the type is imported. The emulator is loaded when it is needed, so that a production install can do without it.
import type { MedplumEmulator, RecordedRequest } from 'nestjs-medplum/testing';
import type { ClinicAccount } from '../auth/clinic-account';
import { hashPassword } from '../auth/password.hash';
import { ClinicBackend, type DemoLogin } from './clinic.backend';
import { seedDemoClinic } from './demo-clinic.seed';

/** Name of the clinic's ClientApplication, which Medplum writes into `meta.author`. */
const CLIENT = 'Clinic app';

/** An embedded Medplum with a demo clinic. It lives in memory, listens on loopback, and ends with the app. */
export class EmbeddedBackend extends ClinicBackend implements OnApplicationShutdown {
  readonly medplum: MedplumModuleOptions;

  private constructor(
    private readonly emulator: MedplumEmulator,
    readonly accounts: readonly ClinicAccount[],
    override readonly demoLogins: readonly DemoLogin[],
  ) {
    super();
    this.medplum = emulator.options(CLIENT);
  }

  static async start(): Promise<EmbeddedBackend> {
    const { MedplumEmulator } = await import('nestjs-medplum/testing');
    const emulator = await MedplumEmulator.start();
    try {
      await emulator.createClient({ name: CLIENT });
      const logins = await seedDemoClinic(emulator);
      const accounts = await Promise.all(
        logins.map(async ({ name, password, membership }) => ({
          name,
          membership,
          passwordHash: await hashPassword(password),
        })),
      );
      return new EmbeddedBackend(emulator, accounts, logins);
    } catch (error) {
      await emulator.close();
      throw error;
    }
  }

  /** The requests that the embedded Medplum received. */
  get requests(): readonly RecordedRequest[] {
    return this.emulator.requests;
  }

  onApplicationShutdown(): Promise<void> {
    return this.emulator.close();
  }
}
