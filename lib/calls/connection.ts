import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Pool } from 'undici';
import { AuditTrail } from '../audit/audit-trail';
import type { AuditedClient, MedplumAudit } from '../audit/medplum-audit';
import { isMedplumError, type MedplumError } from '../errors/medplum.error';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import type { MedplumTimeoutPhase } from '../errors/transport.errors';
import type { FhirRequest } from '../fhir/fhir-request';
import { BasicCredentials } from '../http/basic-credentials';
import type { CallTracing } from '../http/call-tracing';
import { RunningCalls } from '../http/deadline';
import { DispatcherWire } from '../http/dispatcher-wire';
import type { MedplumDispatcher } from '../http/medplum-dispatcher';
import { FairShares } from '../http/fair-shares';
import { MedplumTransport } from '../http/medplum-transport';
import { OAuthClientCredentials } from '../http/oauth-client-credentials';
import { quietDispatcher, quietPool } from '../http/pool';
import { PoolWire } from '../http/pool-wire';
import { ServerQuota } from '../http/server-quota';
import type { RequestAttempt } from '../shared/request-attempt';
import type { ErrorClass } from '../http/response-error';
import { SignedTransport } from '../http/signed-transport';
import type { TransportRequest, TransportResponse } from '../http/transport.types';
import type { Wire } from '../http/wire';
import type { Identity } from '../on-behalf-of/identity';
import type { ClientSettings, ClientSettingsWithSecret } from './client-settings';
import { type MedplumQuota, quotaNow } from './medplum-quota';
import { ReadBatches } from './read-batches';
import { RefusalLog } from './refusal-log';
import { MembershipCheck, type MembershipLookup } from './membership-check';

/** How long aborted calls may take to settle, in ms: a few turns of the event loop. */
const SETTLE_TIMEOUT = 1_000;

/** How long the log is silent about late calls after it has warned, in ms. */
const LATE_WARNING_INTERVAL = 60_000;

/** What is checked of a delegated identity without the option `membershipCheck`: that it is one active membership. */
const LEAST_CHECK = { allowAdminIdentity: true, requirePolicy: false, ttl: 1, maxEntries: 1 };

/** @internal What one configured client holds open: pool, credentials, audit trail and the calls under way. */
export class MedplumConnection implements OnApplicationShutdown, AuditedClient {
  /** Vets identities before they are used, if the client is configured to. */
  readonly membershipCheck: MembershipCheck | undefined;
  /** Records the calls. */
  readonly trail: AuditTrail;
  /** Calls under way, except those of sinks. */
  readonly running = new RunningCalls();
  readonly tracing: CallTracing;
  /** Where calls wait for their turn, with the option `quota`. */
  readonly shares: FairShares | undefined;
  /** The log of what the server refused. */
  readonly refusals: RefusalLog;
  readonly #quota = new ServerQuota();
  readonly #logger = new Logger('Medplum');
  readonly #settings: ClientSettings;
  readonly #audit: MedplumAudit;
  readonly #transport: MedplumTransport;
  readonly #signed: SignedTransport;
  readonly #ownPool: Pool | undefined;
  readonly #recheck: MembershipCheck;
  #hasWarnedOfLenience = false;
  #nextLateWarning = 0;

  /** @param lookUp asks the server for memberships, with calls on this connection. */
  constructor(
    readonly name: string,
    { clientSecret, ...settings }: ClientSettingsWithSecret,
    audit: MedplumAudit,
    tracing: CallTracing,
    lookUp: (connection: MedplumConnection, ...args: Parameters<MembershipLookup>) => ReturnType<MembershipLookup>,
  ) {
    this.#settings = Object.freeze(settings);
    this.#audit = audit;
    this.tracing = tracing;
    this.refusals = new RefusalLog(name, settings.debugErrors);
    const { baseUrl, clientId, pool, connectTimeout, headersTimeout, bodyTimeout, retry } = settings;
    const { maxResponseBytes: maxBytes, compression } = settings;
    warnOfEnvironment(this.#logger);
    this.trail = new AuditTrail(audit, settings.audit, settings.auditContext);
    audit.addClient(this);
    let dispatcher: MedplumDispatcher | undefined =
      settings.dispatcher && quietDispatcher(settings.dispatcher, tracing);
    let wire: Wire;
    if (dispatcher) {
      wire = new DispatcherWire(dispatcher, { origin: baseUrl.origin, maxBytes, foreign: true });
    } else {
      // A call's deadline covers headers and body, so the pool limits them only when it is told to.
      const timeouts = { connect: { timeout: connectTimeout }, headersTimeout, bodyTimeout };
      const own = quietPool(baseUrl.origin, { ...pool, ...timeouts }, tracing);
      dispatcher = this.#ownPool = own;
      const streaming = new DispatcherWire(own, { origin: baseUrl.origin, maxBytes, foreign: false });
      wire = new PoolWire(own, baseUrl.origin, streaming, { maxBytes });
    }
    const credentials =
      settings.auth === 'basic'
        ? new BasicCredentials(clientId, clientSecret)
        : new OAuthClientCredentials({ baseUrl, dispatcher, clientId, clientSecret });
    const batches = new ReadBatches(wire, baseUrl.path, (fn) => this.trail.outside(fn));
    this.shares = settings.quota && new FairShares(settings.quota, this.#quota);
    const [quota, shares] = [this.#quota, this.shares];
    this.#transport = new MedplumTransport({ baseUrl, wire, batches, credentials, retry, compression, quota, shares });
    tracing.quotas.set(name, () => this.quota);
    this.#signed = new SignedTransport(baseUrl, dispatcher, {
      retry,
      connectTimeout,
      maxBytes,
      own: this.#ownPool !== undefined,
      tracing,
    });
    const find: MembershipLookup = (reference) => lookUp(this, reference);
    this.membershipCheck = settings.membershipCheck && new MembershipCheck(settings.membershipCheck, clientId, find);
    this.#recheck = this.membershipCheck ?? new MembershipCheck(LEAST_CHECK, clientId, find);
  }

  /** The options of the client, without the secret. */
  get settings(): ClientSettings {
    return this.#settings;
  }

  /** What is left of the quota, and what the client does with it. */
  get quota(): MedplumQuota {
    return quotaNow(this.#quota.limits, this.shares ?? { running: this.running.size, queued: 0 });
  }

  /** How long shutdown waits for sinks, in ms. */
  get flushTimeout(): number {
    return this.trail.flushTimeout;
  }

  /**
   * Warns of identities that the options let through.
   *
   * @throws OnBehalfOfRequiredError when the emergency access of the identity has expired.
   */
  sending(identity: Identity): void {
    if (identity.expires !== undefined && performance.now() >= identity.expires) {
      throw new OnBehalfOfRequiredError(
        'The emergency access that this call was made with has expired (expiresIn of breakGlass()). Nothing was sent. Ask the user again, and call breakGlass() anew.',
      );
    }
    if (identity.afterScope && this.#settings.lateCalls === 'warn') {
      this.#warnOfLateCall();
    }
    if (identity.source === 'lenient' && !this.#hasWarnedOfLenience) {
      this.#hasWarnedOfLenience = true;
      this.#logger.warn(
        `A call of the client "${this.name}" has no identity and runs with the rights of a project admin, because requireOnBehalfOf is false. Set it to true to refuse such calls. This is logged once.`,
      );
    }
  }

  #warnOfLateCall(): void {
    const now = performance.now();
    if (now >= this.#nextLateWarning) {
      this.#nextLateWarning = now + LATE_WARNING_INTERVAL;
      this.#logger.warn(
        `A call of the client "${this.name}" was made under a scope that has ended, and acts as the user of that scope (lateCalls: 'warn'). Await the work inside the scope, or use bind(). This is logged at most once a minute.`,
      );
    }
  }

  /** The identity as the membership that the membership check finds; `undefined` when nothing is checked. */
  vet(identity: Identity): Promise<Identity> | undefined {
    const { onBehalfOf } = identity;
    const found = onBehalfOf === undefined ? undefined : this.membershipCheck?.resolve(onBehalfOf);
    return found?.then(
      (membership) => (membership === onBehalfOf ? identity : Object.freeze({ ...identity, onBehalfOf: membership })),
      (error: unknown) => {
        // Calls that wait for one look-up share its result. Each gets an error of its own, because an error names its call.
        throw isMedplumError(error) ? copyOf(error) : error;
      },
    );
  }

  /**
   * Asks the server for the membership of an identity that was named some time ago, whether or not `membershipCheck` is on.
   *
   * @throws OnBehalfOfRejectedError when it is not active any more, or fails the membership check.
   */
  async recheck(onBehalfOf: string): Promise<void> {
    await this.#recheck.resolveAfresh(onBehalfOf);
  }

  /** Sends a request to the server, or to the signed address that it names. */
  transmit(
    request: FhirRequest,
    transported: TransportRequest,
    attempts: RequestAttempt[],
  ): Promise<TransportResponse> {
    const { signedUrl, signedFor } = request;
    return signedUrl
      ? this.#signed.send(signedUrl, transported, attempts, signedFor)
      : this.#transport.send(transported, attempts);
  }

  /** Lets the calls under way finish, and aborts those that take too long, wherever they are: also between attempts. */
  async settle(): Promise<void> {
    await this.trail.idle(this.#settings.shutdownTimeout);
    this.running.end();
    await this.trail.idle(SETTLE_TIMEOUT);
  }

  /**
   * Waits for the calls of all clients and for the audit sinks, then closes the pool: a sink may write with this very
   * client. It leaves a dispatcher that was given alone.
   */
  async onApplicationShutdown(): Promise<void> {
    await this.#audit.end();
    await this.#signed.close();
    const pool = this.#ownPool;
    if (pool && !pool.closed && !pool.destroyed) {
      await pool.destroy().catch(() => undefined);
      // Calls that began meanwhile still have to tell their callers, and the listeners of the audit.
      await this.trail.idle(SETTLE_TIMEOUT);
    }
    this.#audit.removeClient(this);
    this.tracing.quotas.delete(this.name);
  }
}

/** An error of the same class that knows nothing yet of the call it is about. */
function copyOf(error: MedplumError): MedplumError {
  const { message, status, outcome, effect, retryable, cause, requestId } = error;
  const { retryAfter, phase } = error as { readonly retryAfter?: number; readonly phase?: MedplumTimeoutPhase };
  const details = { status, outcome, effect, retryable, cause, retryAfter, phase };
  const copy = new (error.constructor as ErrorClass)(message, details);
  copy.attachRequestId(requestId);
  return copy;
}

/** Warns of process settings that undo what the library promises. */
function warnOfEnvironment(logger: Logger): void {
  const { NODE_TLS_REJECT_UNAUTHORIZED, NODE_DEBUG = '' } = process.env;
  if (NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    logger.warn(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off: anyone between this app and Medplum can read the client secret and all records. Unset it, and use NODE_EXTRA_CA_CERTS for a CA of your own.',
    );
  }
  if (/(?:^|[,\s])(?:undici|fetch|http|net|tls|\*)(?:$|[,\s*])/i.test(NODE_DEBUG)) {
    logger.warn(
      'NODE_DEBUG prints requests: the log will show paths with patient ids, and headers with credentials. Unset it in production.',
    );
  }
}
