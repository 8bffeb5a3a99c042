import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { AuditedCall } from '../audit/audit-trail';
import type { RequestFacts } from '../audit/recorded-request-event';
import type { MedplumBreakGlassAlert } from '../calls/break-glass.options';
import type { ClientCalls } from '../calls/call';
import type { MedplumConnection } from '../calls/connection';
import { factsWithoutRequest } from '../calls/facts-without-request';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { isMedplumError } from '../errors/medplum.error';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownError } from '../errors/shown';
import type { EmergencyIdentity, Identity } from '../on-behalf-of/identity';
import { purposes, type ScopeOptions } from '../on-behalf-of/purpose-of-use';
import { isMilliseconds } from '../shared/milliseconds';

/** Options of one emergency access. */
export interface MedplumBreakGlassRequest extends ScopeOptions {
  /** Why the user needs the access, in their own words: 1 to 256 characters. It becomes a part of the record. */
  readonly reason: string;
  /** How long the access lasts at most, in ms. Not longer than the option `breakGlass.maxDuration`. */
  readonly expiresIn: number;
}

/** `BTG` of v3-ActReason: break the glass. */
const DEFAULT_PURPOSE = 'BTG';

/** In characters. */
const LONGEST_REASON = 256;

/** One emergency access of one user, or the attempt to get one. */
class EmergencyAccess {
  readonly #connection: MedplumConnection;
  readonly #operationId = randomUUID();
  readonly #startedAt = Date.now();
  readonly #start = performance.now();
  #identity: Identity | undefined;
  #audited: AuditedCall;

  constructor(connection: MedplumConnection) {
    this.#connection = connection;
    this.#audited = connection.trail.capture(true);
  }

  /** Records the beginning. @throws AuditSinkError when a sink does not accept the record, or when there is none. */
  async begin(identity: EmergencyIdentity): Promise<void> {
    const { trail, name: client } = this.#connection;
    this.#identity = identity;
    this.#audited = trail.capture(true, identity);
    const facts = this.#facts('break-glass');
    await trail.record(facts, undefined, this.#audited, { retryable: true });
    const { actor, onBehalfOf, reason, purposeOfUse, expires } = identity;
    const expiresAt = new Date(this.#startedAt + expires - this.#start);
    this.#alert({ id: facts.id, client, actor, onBehalfOf, reason, purposeOfUse, expiresAt });
  }

  /** Records the end. */
  end(): void {
    this.#connection.trail.publish(this.#facts('break-glass-end'), undefined, this.#audited);
  }

  /** Records that the access was refused. */
  refused(error: unknown): void {
    if (isMedplumError(error)) {
      this.#connection.trail.publish({ ...this.#facts('break-glass'), error }, undefined, this.#audited);
    }
  }

  /** Tells whoever watches over emergency access, outside the scope of who broke the glass. */
  #alert(alert: MedplumBreakGlassAlert): void {
    const { trail, settings } = this.#connection;
    const tell = async (): Promise<void> => settings.breakGlass?.alert(Object.freeze(alert));
    trail.outside(tell).catch((error: unknown) => {
      new Logger('Medplum').error(
        `The hook breakGlass.alert failed with ${shownError(error).name}, so perhaps nobody was told of an emergency access. The audit trail has it: look for the action break-glass.`,
      );
    });
  }

  #facts(action: string): RequestFacts & { readonly id: string } {
    return {
      ...factsWithoutRequest(this.#connection),
      id: randomUUID(),
      operationId: this.#operationId,
      action,
      onBehalfOf: this.#identity?.onBehalfOf,
      identitySource: this.#identity?.source,
      reason: this.#identity?.reason,
      startedAt: this.#startedAt,
      durationMs: performance.now() - this.#start,
      context: this.#audited.context,
    };
  }
}

/**
 * @internal Calls `fn` with emergency access.
 *
 * @throws MedplumConfigError, MedplumBadRequestError, OnBehalfOfRequiredError, AuditSinkError: see `MedplumService`.
 */
export async function breakGlass<T>(
  { connection, identity }: ClientCalls,
  request: MedplumBreakGlassRequest,
  fn: () => T,
): Promise<Awaited<T>> {
  const access = new EmergencyAccess(connection);
  let emergency: EmergencyIdentity;
  try {
    emergency = emergencyIdentity(connection, identity, request);
  } catch (error) {
    access.refused(error);
    throw error;
  }
  await access.begin(emergency);
  try {
    return await identity.runAs(emergency, fn);
  } finally {
    access.end();
  }
}

function emergencyIdentity(
  { settings }: MedplumConnection,
  identity: ClientCalls['identity'],
  { reason, expiresIn, purposeOfUse = DEFAULT_PURPOSE }: MedplumBreakGlassRequest,
): EmergencyIdentity {
  const { breakGlass: options } = settings;
  if (!options) {
    throw new MedplumConfigError(
      'breakGlass() needs the option breakGlass of MedplumModule: the membership for emergencies, and a hook that alerts.',
    );
  }
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > LONGEST_REASON) {
    throw new MedplumBadRequestError(`breakGlass() needs a reason of 1 to ${LONGEST_REASON} characters.`);
  }
  if (!isMilliseconds(expiresIn) || expiresIn > options.maxDuration) {
    throw new MedplumBadRequestError(
      `breakGlass() needs expiresIn in milliseconds, from 1 to ${options.maxDuration} (option breakGlass.maxDuration).`,
    );
  }
  const codes = purposes(purposeOfUse, 'The purposeOfUse of breakGlass()');
  const { onBehalfOf: actor, source } = identity.pin({});
  if (actor === undefined || source === 'break-glass') {
    throw new OnBehalfOfRequiredError(
      actor === undefined
        ? 'breakGlass() was called with the rights of the client itself. Only a user can break the glass, because somebody has to answer for it. Call it inside a handler with @OnBehalfOf(), or inside onBehalfOf().'
        : 'breakGlass() was called inside breakGlass(). Call it once, with the identity of the user.',
    );
  }
  const who = typeof options.onBehalfOf === 'function' ? options.onBehalfOf(actor) : options.onBehalfOf;
  return Object.freeze({
    source: 'break-glass',
    onBehalfOf: identity.parse(who, 'The option breakGlass.onBehalfOf'),
    reason,
    purposeOfUse: codes,
    actor,
    expires: performance.now() + expiresIn,
  });
}
