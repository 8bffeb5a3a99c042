import { ConfigurableModuleBuilder, type DynamicModule, type Provider } from '@nestjs/common';
import { MedplumAudit } from './audit/medplum-audit';
import { MedplumConfigError } from './errors/medplum-config.error';
import { CallTracing } from './http/call-tracing';
import { MedplumConnection } from './medplum-connection';
import { MedplumCoreModule } from './medplum-core.module';
import { MedplumExceptionFilterModule } from './medplum-exception-filter.module';
import type { MedplumModuleOptions } from './medplum.options';
import { MedplumService } from './medplum.service';
import { resolveOptions } from './resolved-options';
import { getConnectionToken, getMedplumOptionsToken, getMedplumToken } from './medplum.tokens';
import { DEFAULT_CLIENT } from './on-behalf-of/acting-metadata';
import { IdentityResolver } from './on-behalf-of/identity-resolver';
import { OnBehalfOfRegistry } from './on-behalf-of/on-behalf-of.registry';

/** What must be known while the app is put together, and so stands beside the options, never in a factory's answer. */
export interface MedplumModuleExtras {
  /** Name of the client, for apps with several. One client may go without. */
  readonly name?: string;
  /** Makes the client injectable everywhere. Default `true`. */
  readonly isGlobal?: boolean;
  /** Registers `MedplumExceptionFilter` for the app. Default `true`. */
  readonly exceptionFilter?: boolean;
  /** Further providers for the module, such as what `useFactory` injects. */
  readonly extraProviders?: Provider[];
}

function createConnection(
  name: string,
  given: MedplumModuleOptions,
  audit: MedplumAudit,
  registry: OnBehalfOfRegistry,
  tracing: CallTracing,
): MedplumConnection {
  const options = resolveOptions(given, name);
  const identity = new IdentityResolver(options);
  registry.register({
    name,
    identity,
    resolveOnBehalfOf: options.resolveOnBehalfOf,
    isAuthenticated: options.isAuthenticated,
    hasDefault: options.defaultOnBehalfOf !== undefined,
  });
  return new MedplumConnection(name, options, identity, audit, tracing);
}

function checkName(name: string | undefined): void {
  if (name !== undefined && (typeof name !== 'string' || name.trim() === '' || name === DEFAULT_CLIENT)) {
    throw new MedplumConfigError(`The name of a Medplum client must be text other than "${DEFAULT_CLIENT}".`);
  }
}

/** One client as a dynamic module: the builder's options provider under the client's own token, and what is made of it. */
function defineClient(definition: DynamicModule, extras: MedplumModuleExtras): DynamicModule {
  const { name, isGlobal = true, exceptionFilter = true, extraProviders = [] } = extras;
  checkName(name);
  const optionsToken = getMedplumOptionsToken(name);
  const connectionToken = getConnectionToken(name);
  const client: Provider[] = [
    {
      provide: connectionToken,
      inject: [optionsToken, MedplumAudit, OnBehalfOfRegistry, CallTracing],
      useFactory: (
        options: MedplumModuleOptions,
        audit: MedplumAudit,
        registry: OnBehalfOfRegistry,
        tracing: CallTracing,
      ) => createConnection(name ?? DEFAULT_CLIENT, options, audit, registry, tracing),
    },
    {
      provide: getMedplumToken(name),
      inject: [connectionToken],
      useFactory: (connection: MedplumConnection) => new MedplumService(connection, connection.identity),
    },
  ];
  const given = (definition.providers ?? []).map((provider) =>
    'provide' in provider && provider.provide === BUILDER_TOKEN ? { ...provider, provide: optionsToken } : provider,
  );
  return {
    ...definition,
    global: isGlobal,
    imports: [
      ...(definition.imports ?? []),
      MedplumCoreModule,
      ...(exceptionFilter ? [MedplumExceptionFilterModule] : []),
    ],
    providers: [...given, ...client, ...extraProviders],
    exports: [getMedplumToken(name)],
  };
}

const BUILDER_TOKEN = Symbol('MedplumModuleOptions');

/** What MedplumModule extends. Not for apps, but its declaration is part of that of the module. */
export const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<MedplumModuleOptions>({
  optionsInjectionToken: BUILDER_TOKEN,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createMedplumOptions')
  .setExtras<MedplumModuleExtras>(
    { name: undefined, isGlobal: true, exceptionFilter: true, extraProviders: undefined },
    defineClient,
  )
  .build();
