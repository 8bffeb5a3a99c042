import { type DynamicModule, Module, type ModuleMetadata, type Provider, type Type } from '@nestjs/common';
import { MedplumConfigError } from './errors/medplum-config.error';
import { ConfigurableModuleClass, type MedplumModuleExtras } from './medplum.module-definition';
import type { MedplumModuleOptions, MedplumOptionsFactory } from './medplum.options';

/** Options of {@link MedplumModule.forRoot}: those of the client, and what must be known while the app is put together. */
export type MedplumModuleRootOptions = MedplumModuleOptions & Omit<MedplumModuleExtras, 'extraProviders'>;

/** Options of {@link MedplumModule.forRootAsync}: one of `useFactory`, `useClass` and `useExisting`, and what they need. */
export interface MedplumModuleAsyncOptions extends MedplumModuleExtras, Pick<ModuleMetadata, 'imports'> {
  /** What `useFactory` gets as arguments. */
  readonly inject?: NonNullable<Extract<Provider, { useFactory: unknown }>['inject']>;
  /** Makes the options. */
  // The arguments are those of `inject`, which no type can tie to it.
  readonly useFactory?: (...args: never[]) => MedplumModuleOptions | Promise<MedplumModuleOptions>;
  /** A class whose `createMedplumOptions()` makes the options; the module instantiates it. */
  readonly useClass?: Type<MedplumOptionsFactory>;
  /** A provider whose `createMedplumOptions()` makes the options. */
  readonly useExisting?: Type<MedplumOptionsFactory>;
}

/**
 * One client of one Medplum project. Import it once in the root module, and again with a `name` for each further project.
 *
 * @example
 * ```ts
 * MedplumModule.forRoot({ clientId, clientSecret, resolveOnBehalfOf: fromUser('membership') })
 * ```
 */
@Module({})
export class MedplumModule extends ConfigurableModuleClass {
  /**
   * Sets up a client with options that are at hand.
   *
   * @throws MedplumConfigError for a wrong name; at start-up for wrong options (all of them in one error), for a second
   * client of the same name, and for decorators that name no usable source.
   */
  static override forRoot(options: MedplumModuleRootOptions): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Sets up a client with options that are made at start-up, from configuration for instance.
   *
   * @throws MedplumConfigError as {@link MedplumModule.forRoot} does, and when nothing makes the options.
   */
  static override forRootAsync(options: MedplumModuleAsyncOptions): DynamicModule {
    const makers = [options.useFactory, options.useClass, options.useExisting].filter((maker) => maker !== undefined);
    if (makers.length !== 1) {
      throw new MedplumConfigError(
        'MedplumModule.forRootAsync() takes exactly one of useFactory, useClass and useExisting.',
      );
    }
    return super.forRootAsync(options as Parameters<typeof ConfigurableModuleClass.forRootAsync>[0]);
  }
}
