import { hasSubscribers } from 'node:diagnostics_channel';
import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { MedplumConnection } from '../calls/connection';
import { CallTracing } from '../http/call-tracing';

/** The diagnostics channels of undici whose listeners get a request with its address and headers. */
const CHANNELS = [
  'undici:request:create',
  'undici:request:bodySent',
  'undici:request:headers',
  'undici:request:trailers',
  'undici:request:error',
  'undici:client:sendHeaders',
];

/** The injection token under which `@nestjs/observe` keeps its options. */
const OBSERVE_OPTIONS = 'OBSERVE_OPTIONS';

const DANGER = 'records the addresses of requests to Medplum, which carry ids of records and search values';
const HOOK = 'ignoreRequestsTo(<baseUrl>, <storageOrigins>…) of nestjs-medplum';

/** @internal Warns once, at the end of start-up, if something in the process may record the addresses of requests. */
@Injectable()
export class RequestListeners implements OnApplicationBootstrap {
  readonly #logger = new Logger('Medplum');

  constructor(
    private readonly tracing: CallTracing,
    private readonly modules: ModulesContainer,
    private readonly moduleRef: ModuleRef,
  ) {}

  onApplicationBootstrap(): void {
    const addresses = this.#addresses();
    if (addresses.length === 0 || !CHANNELS.some((channel) => hasSubscribers(channel))) {
      return;
    }
    const observe = this.#observeOptions();
    if (observesHttp(observe)) {
      if (!ignoresAll(observe, addresses)) {
        this.#logger.warn(
          `@nestjs/observe ${DANGER}. Give its ObserveModule the option outgoing: { http: { ignore } }, with ${HOOK}.`,
        );
      }
      return;
    }
    // Who listens cannot be seen. With a tracer it is taken for OpenTelemetry's instrumentation, which the tracer quiets.
    if (!this.tracing.tracer) {
      this.#logger.warn(
        `Something in this process listens to undici's diagnostics channels. It probably ${DANGER}. If it is OpenTelemetry, import MedplumOpenTelemetryModule; ` +
          `if it is another tool (an APM agent, NODE_DEBUG=undici), make it ignore these requests, for instance with ${HOOK}, or turn it off.`,
      );
    }
  }

  /** An address on each server that the clients of the app use. */
  #addresses(): string[] {
    const providers = [...this.modules.values()].flatMap((module) => [...module.providers.values()]);
    const connections = providers
      .map(({ instance }): unknown => instance)
      .filter((instance) => instance instanceof MedplumConnection);
    return connections.flatMap(({ settings: { baseUrl, storageOrigins } }) => [
      `${baseUrl.origin}/fhir/R4/Patient`,
      ...storageOrigins.map((origin) => `${origin}/`),
    ]);
  }

  #observeOptions(): unknown {
    try {
      return this.moduleRef.get<unknown>(OBSERVE_OPTIONS, { strict: false });
    } catch {
      return undefined; // The app does not import it.
    }
  }
}

/** Whether `@nestjs/observe` with these options, if the app has any, watches requests that leave the process. */
function observesHttp(options: unknown): boolean {
  const outgoing = property(options, 'outgoing');
  return options !== undefined && outgoing !== false && property(outgoing, 'http') !== false;
}

/** Whether `@nestjs/observe` with these options ignores requests to all of these addresses. */
function ignoresAll(options: unknown, addresses: readonly string[]): boolean {
  const ignore = property(property(property(options, 'outgoing'), 'http'), 'ignore');
  try {
    return typeof ignore === 'function' && addresses.every((address) => Boolean(ignore(address)));
  } catch {
    return false;
  }
}

function property(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? (of as Readonly<Record<string, unknown>>)[name] : undefined;
}
