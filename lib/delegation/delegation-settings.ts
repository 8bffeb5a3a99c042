import { createHash } from 'node:crypto';
import type { BaseUrl } from '../shared/base-url';
import type { MedplumDelegationOptions } from './delegation.options';
import { resolveDelegationKeys, type ResolvedDelegationKey } from './delegation-keys';

/** @internal The option `delegation` after validation. A `KeyObject` shows its key to nobody who prints it. */
export interface DelegationSettings {
  readonly keys: readonly ResolvedDelegationKey[];
  readonly audience: string | undefined;
  readonly issuer: string;
  /** A hash, because the parts that it is made of belong in no token. */
  readonly realm: string;
}

/** Longest name of an issuer, an audience, a realm or a job, in characters. */
const LONGEST_NAME = 256;

/** @internal Whether `value` can name an issuer, an audience, a realm or a job: text without control characters. */
export function isDelegationName(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length <= LONGEST_NAME && /^[^\p{Cc}]+$/u.test(value) && value.trim() !== ''
  );
}

/** @internal Call it with options that were checked. */
export function resolveDelegation(
  { keys: given, audience, issuer = 'nestjs-medplum', realm }: MedplumDelegationOptions,
  { origin, path, publicUrl }: BaseUrl,
  clientId: string,
): DelegationSettings {
  const keys = resolveDelegationKeys(given);
  const place = publicUrl ?? { origin, path };
  // A named realm and a default one never have the same text.
  const text = JSON.stringify(realm === undefined ? [place.origin + place.path, clientId] : [realm]);
  const hash = createHash('sha256').update(text).digest('base64url');
  return Object.freeze({ keys: typeof keys === 'string' ? [] : Object.freeze(keys), audience, issuer, realm: hash });
}
