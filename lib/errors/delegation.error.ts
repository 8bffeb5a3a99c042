import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * Why a delegation was not made or not accepted. One word of this list, never a value.
 *
 * - `arguments`: `delegate()` or `runDelegated()` got wrong arguments.
 * - `missing`: there is no token where one is expected.
 * - `malformed`: it is no token of this library: too long, another encoding, other fields.
 * - `algorithm`: its header names another algorithm than its key has.
 * - `unknown-key`: no key of this service has its key id.
 * - `signature`: the signature does not fit, so the token was forged or changed.
 * - `issuer`, `audience`, `realm`: it comes from, or is meant for, another deployment, service or Medplum project.
 * - `lifetime`: it was made to live longer than 24 hours.
 * - `expired`, `not-yet-valid`: it is used too late or too early.
 * - `job`: it is bound to another job, or to one where none is run, or to none where one is run.
 * - `replayed`: it was used before.
 * - `store`: the option `store` failed, so nobody knows whether it was used before.
 */
export type DelegationRefusal =
  | 'arguments'
  | 'missing'
  | 'malformed'
  | 'algorithm'
  | 'unknown-key'
  | 'signature'
  | 'issuer'
  | 'audience'
  | 'realm'
  | 'lifetime'
  | 'expired'
  | 'not-yet-valid'
  | 'job'
  | 'replayed'
  | 'store';

/** What a {@link DelegationError} is made of, besides its message. */
export interface DelegationErrorDetails extends MedplumErrorDetails {
  /** Default `malformed`. */
  readonly reason?: DelegationRefusal | undefined;
}

/**
 * Thrown when a delegation is not made, or when a token is not accepted. The function was not called and nothing was
 * sent for the identity, so `effect` is `none`. {@link DelegationError.reason} says why.
 */
export class DelegationError extends MedplumError {
  /** Why, in one word. */
  readonly reason: DelegationRefusal;

  constructor(message: string, { reason = 'malformed', ...details }: DelegationErrorDetails = {}) {
    super('MEDPLUM_DELEGATION', message, details);
    this.reason = reason;
  }
}
