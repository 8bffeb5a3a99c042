import type { OnApplicationShutdown } from '@nestjs/common';
import type { MedplumModuleOptions } from 'nestjs-medplum';
// The type only: the emulator itself is loaded when it is needed, so that a production install can do without it.
import type { MedplumEmulator, RecordedRequest } from 'nestjs-medplum/testing';
import type { ClinicAccount } from '../auth/clinic-account';
import { hashPassword } from '../auth/password.hash';
import { ClinicBackend, type DemoLogin } from './clinic.backend';
import { seedDemoClinic } from './demo-clinic.seed';

/** Name of the ClientApplication that the clinic is for Medplum: it stands in `meta.author`. */
const CLIENT = 'Clinic app';

/** An embedded Medplum with a demo clinic in it: in memory, on loopback, gone when the app stops. */
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

  /** What went over the wire to the embedded Medplum. */
  get requests(): readonly RecordedRequest[] {
    return this.emulator.requests;
  }

  onApplicationShutdown(): Promise<void> {
    return this.emulator.close();
  }
}
