import { CompactSign, compactVerify } from 'jose';
import { DelegationError } from '../errors/delegation.error';
import { type DelegationClaims, readClaims } from './delegation-claims';
import type { ResolvedDelegationKey } from './delegation-keys';

/** Longest token that is read, in characters. The longest that can be made is shorter. */
const LONGEST_TOKEN = 8_192;

/** Keeps tokens of this library and other JWTs of the same key apart (RFC 8725 section 3.11). */
const TYPE = 'medplum-delegation+jwt';

const HEADER_KEYS = ['alg', 'kid', 'typ'];

/** A compact JWS: three parts in base64url, with a header, a payload and a signature. */
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/** @internal Makes a token. */
export function signToken({ kid, algorithm, signs }: SigningKey, claims: DelegationClaims): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims), 'utf8'))
    .setProtectedHeader({ alg: algorithm, kid, typ: TYPE })
    .sign(signs);
}

/** @internal A key that can sign. */
export type SigningKey = ResolvedDelegationKey & { readonly signs: NonNullable<ResolvedDelegationKey['signs']> };

/**
 * @internal The claims of a token, if its signature fits a key. Neither the key nor the algorithm comes from the token: its
 * header picks a key by its id, and must then say exactly what the key demands.
 *
 * @throws DelegationError
 */
export async function verifyToken(token: unknown, keys: readonly ResolvedDelegationKey[]): Promise<DelegationClaims> {
  if (token === undefined || token === null || token === '') {
    refuse('missing', 'there is no token where one is expected.');
  }
  if (typeof token !== 'string' || token.length > LONGEST_TOKEN) {
    refuse('malformed', 'its token is no text, or too long.');
  }
  const [, ...parts] = COMPACT.exec(token) ?? [];
  const [head = ''] = parts;
  // Several texts decode to the same bytes. Only one of them is the token.
  if (parts.length !== 3 || parts.some((part) => Buffer.from(part, 'base64url').toString('base64url') !== part)) {
    refuse('malformed', 'its token is no compact JWS.');
  }
  const header = json(Buffer.from(head, 'base64url'));
  const { kid, alg, typ } = header;
  if (Object.keys(header).toSorted().join() !== HEADER_KEYS.join() || typ !== TYPE) {
    refuse('malformed', 'its token has another header than the tokens of this library.');
  }
  const key = keys.find((one) => one.kid === kid);
  if (!key) {
    refuse('unknown-key', 'no key of this service has the id that it names. Add the key to delegation.keys.');
  }
  if (alg !== key.algorithm) {
    refuse('algorithm', 'its token names another algorithm than its key has.');
  }
  const verified = await compactVerify(token, key.verifies, { algorithms: [key.algorithm] }).catch(() =>
    refuse('signature', 'its signature does not fit. Either it was changed, or the services have different keys.'),
  );
  return readClaims(json(verified.payload));
}

function json(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // The text of the error would quote the token.
  }
  return refuse('malformed', 'its token holds no JSON object.');
}

function refuse(reason: DelegationError['reason'], why: string): never {
  throw new DelegationError(`The delegation was refused: ${why}`, { reason });
}
