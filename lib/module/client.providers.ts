import type { Provider } from '@nestjs/common';
import { MedplumAudit } from '../audit/medplum-audit';
import { MedplumConnection } from '../calls/connection';
import { lookUpMemberships } from '../calls/membership-lookup';
import { CallTracing } from '../http/call-tracing';
import type { MedplumModuleOptions } from '../medplum.options';
import { MedplumService } from '../medplum.service';
import { getConnectionToken, getMedplumOptionsToken, getMedplumToken } from '../medplum.tokens';
import { IdentityResolver } from '../on-behalf-of/identity-resolver';
import { DEFAULT_CLIENT, OnBehalfOfRegistry } from '../on-behalf-of/on-behalf-of.registry';
import { resolveOptions } from './resolve-options';

/** @internal The providers of one client: its connection, made from its options, and its service. */
export function clientProviders(name: string | undefined): Provider[] {
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
    identity: new IdentityResolver(settings),
    resolveOnBehalfOf: settings.resolveOnBehalfOf,
    isAuthenticated: settings.isAuthenticated,
    hasDefault: settings.defaultOnBehalfOf !== undefined,
  });
  return new MedplumConnection(name, settings, audit, tracing, lookUpMemberships);
}
