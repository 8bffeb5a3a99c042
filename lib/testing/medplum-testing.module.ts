import { type DynamicModule, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { MedplumModule, type MedplumModuleExtras, type MedplumModuleOptions } from '../index';
import type { EmulatorFixtures } from './fixtures.types';
import { MedplumAuditRecorder } from './medplum-audit-recorder';
import { MedplumEmulator } from './medplum-emulator';

/**
 * Options of {@link MedplumTestingModule.forRoot}: a running emulator, or the fixtures to start one with, and the options of
 * your client. The module replaces the base URL and the credentials, and keeps the rest.
 */
export interface MedplumTestingModuleOptions
  extends Partial<MedplumModuleOptions>, Pick<MedplumModuleExtras, 'name' | 'isGlobal' | 'exceptionFilter'> {
  /** An emulator that the test started. The module uses it and leaves it running. */
  emulator?: MedplumEmulator;
  /** Fixtures for an emulator that the module starts, and closes with the app. */
  fixtures?: EmulatorFixtures;
  /** Name of the emulator's client to use. Default: the first one. */
  client?: string;
  /** Options of the client in an object of their own. Those beside it take precedence. */
  options?: Partial<MedplumModuleOptions>;
}

/** Closes the emulator that the module itself started. */
@Injectable()
class OwnedEmulator implements OnApplicationShutdown {
  constructor(readonly emulator: MedplumEmulator) {}

  async onApplicationShutdown(): Promise<void> {
    await this.emulator.close();
  }
}

/**
 * Connects `MedplumModule` to an embedded Medplum, for `Test.createTestingModule`. It also provides the
 * {@link MedplumEmulator} and a {@link MedplumAuditRecorder}.
 *
 * @example
 * ```ts
 * const app = await Test.createTestingModule({ imports: [MedplumTestingModule.forRoot(), ClinicModule] }).compile();
 * const emulator = app.get(MedplumEmulator);
 * ```
 */
@Module({})
export class MedplumTestingModule {
  /**
   * Starts an emulator with the app, unless you pass one.
   *
   * @throws Error if both `emulator` and `fixtures` are given. While the app starts, errors of
   * {@link MedplumEmulator.start} may follow.
   */
  static forRoot(input: MedplumTestingModuleOptions = {}): DynamicModule {
    const { emulator, fixtures, client, options, name, isGlobal, exceptionFilter, ...clientOptions } = input;
    if (emulator && fixtures) {
      throw new Error(
        'MedplumTestingModule.forRoot() was given an emulator and fixtures, but fixtures only fill an emulator that it ' +
          'starts itself. Pass one of them, not both.',
      );
    }
    const emulatorModule = {
      module: MedplumTestingModule,
      global: true,
      providers: [
        { provide: MedplumEmulator, useFactory: () => emulator ?? MedplumEmulator.start(fixtures ? { fixtures } : {}) },
        ...(emulator
          ? []
          : [
              {
                provide: OwnedEmulator,
                inject: [MedplumEmulator],
                useFactory: (own: MedplumEmulator) => new OwnedEmulator(own),
              },
            ]),
        MedplumAuditRecorder,
      ],
      exports: [MedplumEmulator, MedplumAuditRecorder],
    };
    const clientModule = MedplumModule.forRootAsync({
      inject: [MedplumEmulator],
      useFactory: (running: MedplumEmulator) => running.options({ ...options, ...clientOptions }, client),
      ...(name !== undefined && { name }),
      ...(isGlobal !== undefined && { isGlobal }),
      ...(exceptionFilter !== undefined && { exceptionFilter }),
    });
    return { ...emulatorModule, imports: [clientModule] };
  }
}
