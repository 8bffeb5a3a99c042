import { type DynamicModule, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { MedplumModule, type MedplumModuleExtras, type MedplumModuleOptions } from '../index';
import type { EmulatorFixtures } from './fixtures.types';
import { MedplumAuditRecorder } from './medplum-audit-recorder';
import { MedplumEmulator, type MedplumEmulatorConnection } from './medplum-emulator';

/** What {@link MedplumTestingModule.forRoot} takes: a running emulator, or what one is to be started with. */
export interface MedplumTestingModuleOptions extends Pick<
  MedplumModuleExtras,
  'name' | 'isGlobal' | 'exceptionFilter'
> {
  /** An emulator that the test started. The module uses it and leaves it running. */
  emulator?: MedplumEmulator;
  /** Fixtures of an emulator that the module starts, and closes with the app. */
  fixtures?: EmulatorFixtures;
  /** Name of the emulator's client to use. Default: the first one. */
  client?: string;
  /** Further options of the client, as for `MedplumModule.forRoot()`. */
  options?: Omit<MedplumModuleOptions, keyof MedplumEmulatorConnection>;
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
 * `MedplumModule` connected to an embedded Medplum, for `Test.createTestingModule`. Provides the
 * {@link MedplumEmulator} and a {@link MedplumAuditRecorder} beside it.
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
   * @throws Error when both `emulator` and `fixtures` are given; while the app starts, what
   * {@link MedplumEmulator.start} throws.
   */
  static forRoot(input: MedplumTestingModuleOptions = {}): DynamicModule {
    const { emulator, fixtures, client, options, name, isGlobal, exceptionFilter } = input;
    if (emulator && fixtures) {
      throw new Error('MedplumTestingModule.forRoot() takes an emulator or fixtures for one, not both');
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
      useFactory: (running: MedplumEmulator) => ({ ...options, ...running.options(client) }),
      ...(name !== undefined && { name }),
      ...(isGlobal !== undefined && { isGlobal }),
      ...(exceptionFilter !== undefined && { exceptionFilter }),
    });
    return { ...emulatorModule, imports: [clientModule] };
  }
}
