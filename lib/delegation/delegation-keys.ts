import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, KeyObject } from 'node:crypto';

/** @internal Algorithms of RFC 7518 and RFC 8037. */
export type DelegationAlgorithm = 'HS256' | 'PS256' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA';

/** @internal A key after validation. Its algorithm follows from the key alone. */
export interface ResolvedDelegationKey {
  readonly kid: string;
  readonly algorithm: DelegationAlgorithm;
  /** `undefined`: the key only verifies. */
  readonly signs: KeyObject | undefined;
  readonly verifies: KeyObject;
}

/** RFC 7518 section 3.2: a key of HS256 is at least as long as its hash. In bytes. */
const LEAST_SECRET = 32;

/** RFC 7518 section 3.5. In bits. */
const LEAST_RSA = 2_048;

const KID = /^[\w.-]{1,64}$/;

const CURVES: ReadonlyMap<string | undefined, DelegationAlgorithm> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
]);

const KINDS = ['secret', 'privateKey', 'publicKey'] as const;

/** @internal Whether `value` can be the id of a key. */
export function isKid(value: unknown): value is string {
  return typeof value === 'string' && KID.test(value);
}

/**
 * @internal The keys of the option `delegation`, or what is wrong with them, without a value.
 */
export function resolveDelegationKeys(given: unknown): ResolvedDelegationKey[] | string {
  if (!Array.isArray(given) || given.length === 0) {
    return 'must be a list of one key or more';
  }
  const keys: ResolvedDelegationKey[] = [];
  for (const [index, entry] of (given as unknown[]).entries()) {
    const key = resolveKey(entry);
    if (typeof key === 'string') {
      return `[${index}] ${key}`;
    }
    if (keys.some(({ kid }) => kid === key.kid)) {
      return `[${index}] has the kid of an earlier key`;
    }
    keys.push(Object.freeze(key));
  }
  return keys;
}

function resolveKey(entry: unknown): ResolvedDelegationKey | string {
  const { kid, ...rest } = Object(entry) as Record<string, unknown>;
  if (!isKid(kid)) {
    return 'must have a kid of 1 to 64 letters, digits, dots, hyphens and underscores';
  }
  const given = Object.keys(rest).filter((name) => rest[name] !== undefined);
  const kind = KINDS.find((name) => name === given[0]);
  if (kind === undefined || given.length !== 1) {
    return 'must have a kid and exactly one of secret, privateKey and publicKey';
  }
  if (kind === 'secret') {
    return resolveSecret(kid, rest[kind]);
  }
  const isPrivate = kind === 'privateKey';
  const key = isPrivate ? readPrivate(rest[kind]) : readPublic(rest[kind]);
  if (typeof key === 'string') {
    return key;
  }
  const algorithm = algorithmOf(key);
  const [algorithmOfJwk, use] = [jwkMember(rest[kind], 'alg'), jwkMember(rest[kind], 'use')];
  if (algorithm === undefined) {
    return `has a ${kind} that is none of RSA (${LEAST_RSA} bits or more), P-256, P-384, P-521 and Ed25519`;
  }
  if ((algorithmOfJwk ?? algorithm) !== algorithm || (use ?? 'sig') !== 'sig') {
    return `has a ${kind} that is meant for something other than ${algorithm}`;
  }
  return { kid, algorithm, signs: isPrivate ? key : undefined, verifies: isPrivate ? createPublicKey(key) : key };
}

function resolveSecret(kid: string, given: unknown): ResolvedDelegationKey | string {
  const isKey = given instanceof KeyObject;
  if (!(isKey ? given.type === 'secret' : typeof given === 'string' || given instanceof Uint8Array)) {
    return 'must have a secret of text or bytes';
  }
  const secret = isKey ? given : secretOf(given as string | Uint8Array);
  // Whoever knows a public key could make tokens if it were taken for a secret.
  if (secret.export().includes('-----BEGIN')) {
    return 'has a PEM as its secret. Give it as privateKey or publicKey';
  }
  return (secret.symmetricKeySize ?? 0) < LEAST_SECRET
    ? `has a secret of less than ${LEAST_SECRET} bytes`
    : { kid, algorithm: 'HS256', signs: secret, verifies: secret };
}

function secretOf(given: string | Uint8Array): KeyObject {
  return createSecretKey(typeof given === 'string' ? Buffer.from(given, 'utf8') : given);
}

function readPrivate(given: unknown): KeyObject | string {
  const problem = 'has a privateKey that cannot be read. Give PEM (PKCS #8) without a passphrase, a JWK or a KeyObject';
  if (given instanceof KeyObject) {
    return given.type === 'private' ? given : problem;
  }
  return attempt(() => createPrivateKey(isJwk(given) ? { key: given, format: 'jwk' } : (given as string)), problem);
}

function readPublic(given: unknown): KeyObject | string {
  const problem = 'has a publicKey that cannot be read. Give PEM (SPKI), a JWK or a KeyObject';
  if (given instanceof KeyObject) {
    return given.type === 'public' ? given : problem;
  }
  // Node would take the public half of a private key, and the service would keep a key that it should not have.
  if (jwkMember(given, 'd') !== undefined || (typeof given === 'string' && given.includes('PRIVATE KEY'))) {
    return 'has a private key as its publicKey';
  }
  return attempt(() => createPublicKey(isJwk(given) ? { key: given, format: 'jwk' } : (given as string)), problem);
}

function attempt(read: () => KeyObject, problem: string): KeyObject | string {
  try {
    return read();
  } catch {
    return problem;
  }
}

function isJwk(given: unknown): given is JsonWebKey {
  return typeof given === 'object' && given !== null && typeof (given as JsonWebKey).kty === 'string';
}

function jwkMember(given: unknown, name: string): unknown {
  return isJwk(given) ? given[name] : undefined;
}

function algorithmOf(key: KeyObject): DelegationAlgorithm | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return modulusLength >= LEAST_RSA ? 'PS256' : undefined;
    case 'ec':
      return CURVES.get(namedCurve);
    case 'ed25519':
      return 'EdDSA';
    default:
      return undefined;
  }
}
