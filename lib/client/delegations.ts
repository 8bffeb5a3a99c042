import { randomUUID } from 'node:crypto';
import type { AuditedCall } from '../audit/audit-trail';
import type { ClientCalls } from '../calls/call';
import { factsWithoutRequest } from '../calls/facts-without-request';
import type { RequestFacts } from '../audit/recorded-request-event';
import {
  checkOrigin,
  checkUse,
  type DelegationClaims,
  type DelegationDemand,
  CLOCK_TOLERANCE,
  LONGEST_LIFE,
} from '../delegation/delegation-claims';
import type { DelegationSettings } from '../delegation/delegation-settings';
import { isDelegationName } from '../delegation/delegation-settings';
import type { SigningKey } from '../delegation/delegation-token';
import { DelegationError } from '../errors/delegation.error';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { isMedplumError, type MedplumError } from '../errors/medplum.error';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { shownName } from '../errors/shown';
import { within } from '../shared/within';
import { DelegatedIdentity, type DelegationFacts, type Identity } from '../on-behalf-of/identity';
import type { OnBehalfOfReference } from '../on-behalf-of/on-behalf-of.reference';

/** What a delegation is for. */
export interface DelegateOptions {
  /** Who may use the token: the name of a service, a queue or a worker. The other side demands the same. */
  readonly audience: string;
  /** How long the token can be used, in ms, up to 86,400,000 (24 hours). It is rounded up to whole seconds. */
  readonly expiresIn: number;
  /** Binds the token to one job, whose attempts may all use it. Without it, the token can be used once. */
  readonly jobId?: string | undefined;
}

/** How a service uses a delegation. */
export interface RunDelegatedOptions {
  /** The audience that the token must be meant for. Default: `delegation.audience` of the module. */
  readonly audience?: string | undefined;
  /** The job that is run. The token must be bound to it, and to none if you give none. */
  readonly jobId?: string | undefined;
  /** The number of the attempt at the job. Each can be made once. Default: the token serves the job until it expires. */
  readonly attempt?: number | undefined;
}

/** Who was named by a token that was not accepted, as far as its signature tells. */
interface Named {
  readonly onBehalfOf?: OnBehalfOfReference;
  readonly delegation?: DelegationFacts;
}

/** In ms. */
const LONGEST_EXPIRY = LONGEST_LIFE * 1_000;

// jose is large, and most apps delegate nothing.
const tokens = (): typeof import('../delegation/delegation-token') =>
  require('../delegation/delegation-token') as typeof import('../delegation/delegation-token');

/** @internal Makes and accepts the delegations of one client. */
export class Delegations {
  readonly #calls: ClientCalls;

  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /** Makes a token for the identity that a call made here would use. That is fixed synchronously. */
  make(options: DelegateOptions): Promise<string> {
    return this.#recorded(() => {
      const settings = this.#settings('delegate');
      checkDelegate(options);
      const { sub, latest } = this.#delegable();
      const key = settings.keys.find((one): one is SigningKey => one.signs !== undefined);
      if (!key) {
        throw new MedplumConfigError(
          'delegate() was called, but delegation.keys has public keys only, and these sign nothing. Add a secret or a privateKey.',
        );
      }
      const iat = seconds();
      const exp = Math.min(iat + Math.ceil(options.expiresIn / 1_000), latest);
      if (exp <= iat) {
        throw new DelegationError(
          'No delegation was made: the one that this scope was opened with has expired, and none that it leads to may live longer.',
          { reason: 'expired' },
        );
      }
      const { audience: aud, jobId: job } = options;
      const { issuer: iss, realm } = settings;
      const claims = { iss, aud, sub, iat, nbf: iat, exp, jti: randomUUID(), realm };
      return tokens().signToken(key, job === undefined ? claims : { ...claims, job });
    });
  }

  /** Calls `fn` in a scope with the identity of the token. */
  async run<T>(token: string, fn: () => T, options: RunDelegatedOptions): Promise<Awaited<T>> {
    const who = await this.accept(token, options);
    return await this.#calls.identity.onBehalfOf(who, fn);
  }

  /** The identity of a token, which this use consumes. */
  accept(token: unknown, options: RunDelegatedOptions): Promise<DelegatedIdentity> {
    let named: Named = {};
    return this.#recorded(
      async () => {
        const settings = this.#settings('runDelegated');
        const demand = demandOf(settings, options);
        const claims = await tokens().verifyToken(token, settings.keys);
        checkOrigin(claims, demand);
        const onBehalfOf = this.#calls.identity.parse(claims.sub, 'The identity of the delegation');
        const { jti: id, exp: expires, job: jobId } = claims;
        const delegation = { token: Object.freeze(jobId === undefined ? { id } : { id, jobId }), expires };
        named = { onBehalfOf, delegation };
        checkUse(claims, demand, seconds());
        await this.#use(claims, options.attempt);
        await this.#calls.connection.recheck(onBehalfOf);
        return new DelegatedIdentity(onBehalfOf, delegation);
      },
      () => named,
    );
  }

  #settings(method: string): DelegationSettings {
    const { delegation } = this.#calls.connection.settings;
    if (!delegation) {
      throw new MedplumConfigError(
        `${method}() was called, but the client "${this.#calls.connection.name}" has no keys to sign and verify with. Set the option delegation of MedplumModule.`,
      );
    }
    return delegation;
  }

  /** The identity that may be handed over here, and until when, in seconds since 1970. */
  #delegable(): { readonly sub: OnBehalfOfReference; readonly latest: number } {
    const { identity: resolver } = this.#calls;
    const { onBehalfOf: sub, delegation, afterScope, source }: Identity = resolver.pin({});
    if (sub === undefined) {
      throw new OnBehalfOfRequiredError(
        'delegate() was called where calls act as the client itself, and the rights of a project admin are never delegated. Call it in the scope of a user.',
      );
    }
    if (source === 'break-glass') {
      throw new OnBehalfOfRequiredError(
        'delegate() was called inside breakGlass(), and emergency access is never delegated. Call it with the identity of the user.',
      );
    }
    if (afterScope) {
      throw new OnBehalfOfRequiredError(
        'delegate() was called under a scope that has ended. Call it inside the handler or the function, before that settles.',
      );
    }
    return { sub, latest: delegation?.expires ?? Number.POSITIVE_INFINITY };
  }

  /** Remembers that the token was used. Nobody else may use it then, however they share the store. */
  async #use({ jti, exp, realm, job }: DelegationClaims, attempt: number | undefined): Promise<void> {
    if (job !== undefined && attempt === undefined) {
      return;
    }
    const key = `nestjs-medplum:delegation:${realm}:${jti}${attempt === undefined ? '' : `:${attempt}`}`;
    // Longer than the token can be used, even if a clock is set back a little.
    const milliseconds = (exp - seconds() + 2 * CLOCK_TOLERANCE) * 1_000;
    const { store, timeout } = this.#calls.connection.settings;
    let isFirst: boolean;
    try {
      isFirst = await within(timeout, async () => store.add(key, '1', milliseconds));
    } catch (cause) {
      throw new DelegationError(
        'The delegation was refused: the option store failed, so nobody knows whether the token was used before. Check what the store is connected to.',
        { reason: 'store', retryable: true, cause },
      );
    }
    if (!isFirst) {
      throw new DelegationError(
        'The delegation was refused: its token was used before. Make one with delegate() for each request, and bind the token of a job to its jobId.',
        { reason: 'replayed' },
      );
    }
  }

  /** Publishes an event and logs a line when `work` fails. */
  async #recorded<T>(work: () => Promise<T>, named: () => Named = () => ({})): Promise<T> {
    const { connection, identity } = this.#calls;
    const [startedAt, start] = [Date.now(), performance.now()];
    const isUserScope = identity.scope.current?.identity.onBehalfOf !== undefined;
    const audited = connection.trail.capture(isUserScope || identity.inbound !== undefined);
    connection.trail.began(audited);
    try {
      return await work();
    } catch (cause) {
      const error = isMedplumError(cause)
        ? cause
        : new DelegationError('The delegation cannot be made or read.', { cause });
      const facts = this.#facts(error, audited, named(), { startedAt, durationMs: performance.now() - start });
      connection.refusals.note(error);
      if (connection.trail.requires(audited)) {
        await connection.trail.record(facts, undefined, audited, { effect: 'none', callError: error });
      } else {
        connection.trail.publish(facts, undefined, audited);
      }
      throw error;
    } finally {
      connection.trail.ended(audited);
    }
  }

  /** There was no request, and the event says so. */
  #facts(
    error: MedplumError,
    { context }: AuditedCall,
    { onBehalfOf, delegation }: Named,
    times: Pick<RequestFacts, 'startedAt' | 'durationMs'>,
  ): RequestFacts {
    const identitySource = onBehalfOf === undefined ? undefined : 'scope';
    const request = { ...factsWithoutRequest(this.#calls.connection), onBehalfOf, identitySource } as const;
    const { client, method, path, pathTemplate } = request;
    error.attachRequest({ client, method, path, pathTemplate, onBehalfOf, identitySource });
    return {
      ...request,
      ...times,
      operationId: randomUUID(),
      action: 'delegation',
      delegated: true,
      delegation: delegation?.token,
      error,
      context,
    };
  }
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}

function checkDelegate(options: DelegateOptions): void {
  const { audience, expiresIn, jobId } = known('delegate', options, ['audience', 'expiresIn', 'jobId']);
  checkName('delegate', 'audience', audience);
  if (jobId !== undefined) {
    checkName('delegate', 'jobId', jobId);
  }
  if (!(typeof expiresIn === 'number' && expiresIn > 0 && expiresIn <= LONGEST_EXPIRY)) {
    wrong('delegate', `expiresIn must be a number of milliseconds between 1 and ${LONGEST_EXPIRY} (24 hours)`);
  }
}

function demandOf(
  { issuer, realm, audience: own }: DelegationSettings,
  options: RunDelegatedOptions,
): DelegationDemand {
  const given = known('runDelegated', options, ['audience', 'jobId', 'attempt']);
  const { audience = own, jobId, attempt } = given;
  if (audience === undefined) {
    throw new MedplumConfigError(
      'A delegation is used, but nothing says which audience it must be meant for. Set delegation.audience, or name the audience where you use the token.',
    );
  }
  checkName('runDelegated', 'audience', audience);
  if (jobId !== undefined) {
    checkName('runDelegated', 'jobId', jobId);
  }
  if (attempt !== undefined && !(Number.isSafeInteger(attempt) && attempt >= 0 && jobId !== undefined)) {
    wrong('runDelegated', 'attempt must be a whole number, 0 or more, and needs a jobId');
  }
  return { issuer, realm, audience, jobId };
}

function known<T extends object>(method: string, options: T, keys: readonly string[]): T {
  if (typeof options !== 'object' || options === null) {
    wrong(method, 'its options must be an object');
  }
  const unknown = Object.keys(options).find((key) => !keys.includes(key));
  if (unknown !== undefined) {
    wrong(method, `${shownName(unknown)} is not an option (known: ${keys.join(', ')})`);
  }
  return options;
}

function checkName(method: string, option: string, value: unknown): void {
  if (!isDelegationName(value)) {
    wrong(method, `${option} must be 1 to 256 characters without control characters`);
  }
}

function wrong(method: string, problem: string): never {
  throw new DelegationError(`The arguments of ${method}() are wrong: ${problem}.`, { reason: 'arguments' });
}
