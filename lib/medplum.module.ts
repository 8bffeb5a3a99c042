import {
  ConfigurableModuleBuilder,
  type DynamicModule,
  Module,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { MedplumAudit } from './audit/medplum-audit';
import { MedplumConnection } from './calls/connection';
import { lookUpMemberships } from './calls/membership-lookup';
import { MedplumConfigError } from './errors/medplum-config.error';
import { MedplumExceptionFilterModule } from './exceptions/medplum-exception-filter.module';
import { CallTracing } from './http/call-tracing';
import type { KnownOptions, MedplumModuleOptions, MedplumOptionsFactory } from './medplum.options';
import { MedplumService } from './medplum.service';
import { getConnectionToken, getMedplumOptionsToken, getMedplumToken } from './medplum.tokens';
import { MedplumCoreModule } from './module/core.module';
import { resolveOptions } from './module/resolve-options';
import { IdentityResolver } from './on-behalf-of/identity-resolver';
import { DEFAULT_CLIENT, OnBehalfOfRegistry } from './on-behalf-of/on-behalf-of.registry';
import { type MedplumRoutesOptions, parseRoutes, ROUTES } from './on-behalf-of/routes.options';

/** What Nest must know while it wires the app. An async factory cannot provide it, so it stands beside the options. */
export interface MedplumModuleExtras {
  /** Name of the client, for apps with several. One client may have no name. */
  readonly name?: string | undefined;
  /** Makes the client injectable everywhere. Default `true`. */
  readonly isGlobal?: boolean | undefined;
  /** Registers `MedplumExceptionFilter` for the app. Default `true`. */
  readonly exceptionFilter?: boolean | undefined;
  /**
   * `enforce`: the app does not start while a handler of a controller, resolver or gateway does not say how it acts, with
   * `@OnBehalfOf()`, `@AsClientApplication()` or `@WithoutMedplum()`. It concerns the whole app, so one client is enough to
   * say it. Default `off`.
   */
  readonly routes?: 'off' | 'enforce' | MedplumRoutesOptions | undefined;
  /** Further providers for the module, such as those that `useFactory` injects. */
  readonly extraProviders?: Provider[] | undefined;
}

/** Options of {@link MedplumModule.forRoot}: the options of the client, and the ones that Nest needs while it wires the app. */
export type MedplumModuleRootOptions = MedplumModuleOptions & Omit<MedplumModuleExtras, 'extraProviders'>;

/** Options of {@link MedplumModule.forRootAsync}: one of `useFactory`, `useClass` and `useExisting`, and what it needs. */
export interface MedplumModuleAsyncOptions<O extends MedplumModuleOptions = MedplumModuleOptions>
  extends MedplumModuleExtras, Pick<ModuleMetadata, 'imports'> {
  /** The providers that `useFactory` gets as its arguments. */
  readonly inject?: NonNullable<Extract<Provider, { useFactory: unknown }>['inject']> | undefined;
  /** Returns the options. */
  // No type can tie the arguments to `inject`.
  readonly useFactory?: ((...args: never[]) => (O & KnownOptions<O>) | Promise<O & KnownOptions<O>>) | undefined;
  /** A class whose `createMedplumOptions()` returns the options. The module instantiates it. */
  readonly useClass?: Type<MedplumOptionsFactory> | undefined;
  /** A provider whose `createMedplumOptions()` returns the options. */
  readonly useExisting?: Type<MedplumOptionsFactory> | undefined;
}

const BUILDER_TOKEN = Symbol('MedplumModuleOptions');

/** The base class of MedplumModule. Not for apps, but the module's declaration refers to it. */
export const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<MedplumModuleOptions>({
  optionsInjectionToken: BUILDER_TOKEN,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createMedplumOptions')
  .setExtras<MedplumModuleExtras>(
    { name: undefined, isGlobal: true, exceptionFilter: true, routes: undefined, extraProviders: undefined },
    defineClient,
  )
  .build();

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
   * Sets up a client with options that you have at hand.
   *
   * @throws MedplumConfigError for a wrong name. At start-up: for wrong options (all problems in one error), for a second
   * client of the same name, and for decorators without a usable source.
   */
  static override forRoot(options: MedplumModuleRootOptions): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Sets up a client with options that are made at start-up, for instance from configuration.
   *
   * @throws MedplumConfigError as {@link MedplumModule.forRoot} does, and without a source of the options.
   */
  static override forRootAsync<O extends MedplumModuleOptions>(options: MedplumModuleAsyncOptions<O>): DynamicModule {
    const sources = [options.useFactory, options.useClass, options.useExisting].filter((one) => one !== undefined);
    if (sources.length !== 1) {
      throw new MedplumConfigError(
        'MedplumModule.forRootAsync() takes exactly one of useFactory, useClass and useExisting.',
      );
    }
    return super.forRootAsync(options as Parameters<typeof ConfigurableModuleClass.forRootAsync>[0]);
  }
}

/** Turns the builder's definition into a client: its options stand under the client's own token. */
function defineClient(definition: DynamicModule, extras: MedplumModuleExtras): DynamicModule {
  const { name, isGlobal = true, exceptionFilter = true, extraProviders = [] } = extras;
  checkName(name);
  const routes = { provide: ROUTES, useValue: parseRoutes(extras.routes) };
  const given = (definition.providers ?? []).map((provider) =>
    'provide' in provider && provider.provide === BUILDER_TOKEN
      ? { ...provider, provide: getMedplumOptionsToken(name) }
      : provider,
  );
  return {
    ...definition,
    global: isGlobal,
    imports: [
      ...(definition.imports ?? []),
      MedplumCoreModule,
      ...(exceptionFilter ? [MedplumExceptionFilterModule] : []),
    ],
    providers: [...given, routes, ...clientProviders(name), ...extraProviders],
    exports: [getMedplumToken(name)],
  };
}

function checkName(name: string | undefined): void {
  if (name !== undefined && (typeof name !== 'string' || name.trim() === '' || name === DEFAULT_CLIENT)) {
    throw new MedplumConfigError(`The name of a Medplum client must be text other than "${DEFAULT_CLIENT}".`);
  }
}

/** The providers of one client: its connection, made from its options, and its service. */
function clientProviders(name: string | undefined): Provider[] {
  const connectionToken = getConnectionToken(name);
  return [
    {
      provide: connectionToken,
      inject: [getMedplumOptionsToken(name), MedplumAudit, OnBehalfOfRegistry, CallTracing],
      useFactory: (
        options: MedplumModuleOptions,
        audit: MedplumAudit,
        registry: OnBehalfOfRegistry,
        tracing: CallTracing,
      ) => createConnection(name ?? DEFAULT_CLIENT, options, audit, registry, tracing),
    },
    {
      provide: getMedplumToken(name),
      inject: [connectionToken, OnBehalfOfRegistry],
      useFactory: (connection: MedplumConnection, registry: OnBehalfOfRegistry) =>
        new MedplumService(connection, registry.get(connection.name).identity),
    },
  ];
}

function createConnection(
  name: string,
  options: MedplumModuleOptions,
  audit: MedplumAudit,
  registry: OnBehalfOfRegistry,
  tracing: CallTracing,
): MedplumConnection {
  const settings = resolveOptions(options, name);
  registry.register({
    name,
    identity: new IdentityResolver(settings, () => registry.explainNobody(name)),
    resolveOnBehalfOf: settings.resolveOnBehalfOf,
    isAuthenticated: settings.isAuthenticated,
    hasDefault: settings.defaultOnBehalfOf !== undefined,
    reauthorizeEvery: settings.reauthorizeEvery,
    vet: (identity) => connection.vet(identity),
  });
  const connection = new MedplumConnection(name, settings, audit, tracing, lookUpMemberships);
  return connection;
}
