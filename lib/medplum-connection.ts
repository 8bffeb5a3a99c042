import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Pool } from 'undici';
import { AuditTrail } from './audit/audit-trail';
import type { AuditedClient, MedplumAudit } from './audit/medplum-audit';
import type { MedplumBeforeRequest } from './before-request';
import type { CallHost } from './call-host';
import type { FhirRequest } from './fhir/fhir-request';
import type { BaseUrl } from './http/base-url';
import { BasicCredentials } from './http/basic-credentials';
import type { CallTracing } from './http/call-tracing';
import { RunningCalls } from './http/running-calls';
import type { MedplumDispatcher } from './http/medplum-dispatcher';
import { DispatcherWire } from './http/dispatcher-wire';
import { MedplumTransport } from './http/medplum-transport';
import type { TransportRequest, TransportResponse } from './http/transport.types';
import { PoolWire } from './http/pool-wire';
import { quietDispatcher, quietPool } from './http/quiet-dispatch';
import type { Wire } from './http/wire';
import { SignedTransport } from './http/signed-transport';
import { OAuthClientCredentials } from './http/oauth-client-credentials';
import type { RequestAttempt } from './http/request-attempt';
import { MembershipCheck } from './membership-check';
import { lookUpMemberships } from './membership-lookup';
import type { MedplumRequestOptions } from './medplum-request.options';
import type { Identity } from './on-behalf-of/identity';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import type { ResolvedMedplumOptions } from './resolved-options';
import { PinnedCall, type Pinning, type PinOptions } from './pinned-call';

/** How long calls may take to end once they are cut off, in ms: no more than a few turns of the event loop. */
const SETTLE_TIMEOUT = 1_000;

/** @internal One configured client: its pool, and the one way of every call through identity, transport and audit. */
export class MedplumConnection implements OnApplicationShutdown, AuditedClient, CallHost {
  /** Vets identities before they are used, if the client was told to. */
  readonly membershipCheck: MembershipCheck | undefined;
  readonly #logger = new Logger('Medplum');
  /** @internal What is recorded of the calls. */
  readonly trail: AuditTrail;
  /** @internal Calls that are under way, but not those of sinks. */
  readonly running = new RunningCalls();
  readonly #transport: MedplumTransport;
  readonly #signed: SignedTransport;
  readonly #ownPool: Pool | undefined;
  // The secret is in them: what only TypeScript hides is shown by whatever prints a service.
  readonly #options: ResolvedMedplumOptions;
  readonly #audit: MedplumAudit;
  #lenientSaid = false;

  constructor(
    readonly name: string,
    options: ResolvedMedplumOptions,
    /** The client's own rules of identity; `actingAs()` derives others. */
    readonly identity: IdentityResolver,
    audit: MedplumAudit,
    readonly tracing: CallTracing,
  ) {
    this.#options = options;
    this.#audit = audit;
    const { baseUrl, pool, connectTimeout, headersTimeout, bodyTimeout, retry, maxResponseBytes: maxBytes } = options;
    warnOfEnvironment(this.#logger);
    this.trail = new AuditTrail(audit, options.audit, options.auditContext);
    audit.addClient(this);
    let dispatcher: MedplumDispatcher | undefined = options.dispatcher && quietDispatcher(options.dispatcher, tracing);
    let wire: Wire;
    if (dispatcher) {
      wire = new DispatcherWire(dispatcher, { origin: baseUrl.origin, maxBytes, foreign: true });
    } else {
      // The deadline of a call covers headers and body: the pool watches them only when it is told to.
      const timeouts = { connect: { timeout: connectTimeout }, headersTimeout, bodyTimeout };
      const own = quietPool(baseUrl.origin, { ...pool, ...timeouts }, tracing);
      dispatcher = this.#ownPool = own;
      const streaming = new DispatcherWire(own, { origin: baseUrl.origin, maxBytes, foreign: false });
      wire = new PoolWire(own, baseUrl.origin, streaming, { maxBytes });
    }
    const { clientId, clientSecret } = options;
    const credentials =
      options.auth === 'basic'
        ? new BasicCredentials(clientId, clientSecret)
        : new OAuthClientCredentials({ baseUrl, dispatcher, clientId, clientSecret });
    this.#transport = new MedplumTransport({ baseUrl, wire, credentials, retry, compression: options.compression });
    this.membershipCheck =
      options.membershipCheck &&
      new MembershipCheck(options.membershipCheck, clientId, (reference) => lookUpMemberships(this, reference));
    this.#signed = new SignedTransport(baseUrl, dispatcher, {
      retry,
      connectTimeout,
      maxBytes,
      own: this.#ownPool !== undefined,
      tracing,
    });
  }

  /** @internal How long to wait for sinks at the end, in ms. */
  get flushTimeout(): number {
    return this.trail.flushTimeout;
  }

  get timeout(): number {
    return this.#options.timeout;
  }

  /** Where signed addresses may lead, besides the server itself. */
  get storageOrigins(): readonly string[] {
    return this.#options.storageOrigins;
  }

  get extended(): boolean {
    return this.#options.extended;
  }

  get logTag(): string | undefined {
    return this.#options.logTag;
  }

  get beforeRequest(): MedplumBeforeRequest | undefined {
    return this.#options.beforeRequest;
  }

  get abortOnDisconnect(): boolean {
    return this.#options.abortOnDisconnect;
  }

  get clientId(): string {
    return this.#options.clientId;
  }

  /** Where the server is. */
  get baseUrl(): BaseUrl {
    return this.#options.baseUrl;
  }

  /** Fixes the identity of a method that was called, before it does anything else. */
  pin(pinning: Pinning, options: MedplumRequestOptions, pin?: PinOptions): PinnedCall {
    return new PinnedCall(this, pinning, options, pin);
  }

  /**
   * Lets the calls of all clients come to an end, lets the audit write what it has, then closes the pool: a sink may
   * write with this very client. A dispatcher that was given is left alone.
   */
  async onApplicationShutdown(): Promise<void> {
    await this.#audit.end();
    await this.#signed.close();
    const pool = this.#ownPool;
    if (pool && !pool.closed && !pool.destroyed) {
      await pool.destroy().catch(() => undefined);
      // Whatever was begun meanwhile has yet to tell its callers, and the listeners of the audit.
      await this.trail.idle(SETTLE_TIMEOUT);
    }
    this.#audit.removeClient(this);
  }

  /** @internal Lets calls in flight finish, and ends those that take too long, wherever they are: also between attempts. */
  async settle(): Promise<void> {
    await this.trail.idle(this.#options.shutdownTimeout);
    this.running.end();
    await this.trail.idle(SETTLE_TIMEOUT);
  }

  /** @internal Says once that calls for nobody are let through. */
  sending(identity: Identity): void {
    if (identity.source === 'lenient' && !this.#lenientSaid) {
      this.#lenientSaid = true;
      this.#logger.warn(
        `A call of the client "${this.name}" names nobody to act for and runs with the rights of a project admin, because requireOnBehalfOf is false. This is said once.`,
      );
    }
  }

  /** @internal */
  vet(identity: Identity): Promise<Identity> | undefined {
    const { onBehalfOf } = identity;
    const answer = onBehalfOf === undefined ? undefined : this.membershipCheck?.resolve(onBehalfOf);
    return answer?.then((membership) =>
      membership === onBehalfOf ? identity : Object.freeze({ ...identity, onBehalfOf: membership }),
    );
  }

  /** @internal */
  transmit(request: FhirRequest, wire: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse> {
    const { signedUrl } = request;
    return signedUrl ? this.#signed.send(signedUrl, wire, attempts) : this.#transport.send(wire, attempts);
  }
}

/** Settings of the process that undo what the library promises. */
function warnOfEnvironment(logger: Logger): void {
  const { NODE_TLS_REJECT_UNAUTHORIZED, NODE_DEBUG = '' } = process.env;
  if (NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    logger.warn(
      'NODE_TLS_REJECT_UNAUTHORIZED=0: whoever stands between this app and Medplum can read the client secret and all records.',
    );
  }
  if (/(?:^|[,\s])(?:undici|fetch|http|net|tls|\*)(?:$|[,\s*])/i.test(NODE_DEBUG)) {
    logger.warn(
      'NODE_DEBUG prints requests: the log will show paths with the ids of patients, and headers with credentials.',
    );
  }
}
