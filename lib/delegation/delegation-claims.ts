import { DelegationError } from '../errors/delegation.error';
import { isDelegationName } from './delegation-settings';

/** @internal What a token says, and all that it says. Times are in seconds since 1970 (RFC 7519 section 2). */
export interface DelegationClaims {
  readonly iss: string;
  readonly aud: string;
  /** The identity. Whoever opens a scope with it parses it like any other. */
  readonly sub: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  /** A UUID. */
  readonly jti: string;
  readonly realm: string;
  /** The job that the token is bound to. */
  readonly job?: string;
}

/** @internal What the service that uses a token demands of it. */
export interface DelegationDemand {
  readonly issuer: string;
  readonly audience: string;
  readonly realm: string;
  readonly jobId: string | undefined;
}

/** @internal Longest life of a token, in seconds. */
export const LONGEST_LIFE = 24 * 60 * 60;

/** @internal How far the clocks of two services may be apart, in seconds. */
export const CLOCK_TOLERANCE = 30;

const TEXTS = ['iss', 'aud', 'sub', 'realm'] as const;
const TIMES = ['iat', 'nbf', 'exp'] as const;
const KEYS: ReadonlySet<string> = new Set([...TEXTS, ...TIMES, 'jti', 'job']);
/** `delegate()` writes no bare ids. */
const FULL_REFERENCE = /^[A-Za-z]+\/[^/]+$/;
const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * @internal The claims of a token whose signature fits.
 *
 * @throws DelegationError `malformed`: a claim is missing, of another form, or unknown.
 */
export function readClaims(payload: unknown): DelegationClaims {
  const claims = Object(payload) as Record<string, unknown>;
  const isRight =
    typeof payload === 'object' &&
    !Array.isArray(payload) &&
    Object.keys(claims).every((key) => KEYS.has(key)) &&
    TEXTS.every((key) => isDelegationName(claims[key])) &&
    FULL_REFERENCE.test(claims['sub'] as string) &&
    TIMES.every((key) => Number.isSafeInteger(claims[key])) &&
    typeof claims['jti'] === 'string' &&
    UUID.test(claims['jti']) &&
    (claims['job'] === undefined || isDelegationName(claims['job']));
  if (!isRight) {
    throw new DelegationError(
      'The delegation was refused: its token does not have the claims of this library. Make tokens with delegate().',
      { reason: 'malformed' },
    );
  }
  return claims as unknown as DelegationClaims;
}

/**
 * @internal Whether the token comes from this deployment, and names somebody in the project of this client.
 *
 * @throws DelegationError `issuer` or `realm`.
 */
export function checkOrigin(claims: DelegationClaims, demand: DelegationDemand): void {
  if (claims.iss !== demand.issuer) {
    refuse('issuer', 'it comes from another deployment. Give both services the same delegation.issuer.');
  }
  if (claims.realm !== demand.realm) {
    refuse(
      'realm',
      'it is for another Medplum project. Services that reach one project with different clients or addresses need the same delegation.realm.',
    );
  }
}

/**
 * @internal Whether the token may be used now, here, and for this job.
 *
 * @param now in seconds since 1970.
 * @throws DelegationError for the first thing that is wrong.
 */
export function checkUse(claims: DelegationClaims, demand: DelegationDemand, now: number): void {
  if (claims.aud !== demand.audience) {
    refuse('audience', 'it is meant for another audience. Compare the audience of delegate() with the one of its use.');
  }
  const life = claims.exp - claims.iat;
  if (life <= 0 || life > LONGEST_LIFE || claims.nbf < claims.iat) {
    refuse('lifetime', 'it was not made to live for more than nothing and at most 24 hours.');
  }
  if (now - CLOCK_TOLERANCE >= claims.exp) {
    refuse('expired', 'it has expired. Make it later, or with a longer expiresIn.');
  }
  if (now + CLOCK_TOLERANCE < claims.nbf || now + CLOCK_TOLERANCE < claims.iat) {
    refuse('not-yet-valid', 'it is not valid yet. Check the clocks of both services.');
  }
  if (claims.job !== demand.jobId) {
    refuse('job', 'it is not bound to the job that is run. Run it with the jobId that it was made for, and no other.');
  }
}

function refuse(reason: DelegationError['reason'], why: string): never {
  throw new DelegationError(`The delegation was refused: ${why}`, { reason });
}
