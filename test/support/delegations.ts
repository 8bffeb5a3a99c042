import { createHmac, randomBytes } from 'node:crypto';
import {
  DelegationError,
  type DelegationKey,
  type DelegationRefusal,
  type MedplumDelegationOptions,
} from 'nestjs-medplum';

/** A key of HS256 that a test shares between its services. */
export const KEY = { kid: 'k1', secret: randomBytes(32) } satisfies DelegationKey;

/** The option `delegation` of a service that is called `reports`. */
export function delegation(more: Partial<MedplumDelegationOptions> = {}): MedplumDelegationOptions {
  return { keys: [KEY], audience: 'reports', ...more };
}

export const encoded = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8').toString('base64url');

const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;

/** The parts of a token, read without any check. */
export function partsOf(token: string): {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly signature: string;
} {
  const [header = '', claims = '', signature = ''] = token.split('.');
  return { header: read(header), claims: read(claims), signature };
}

/** A token with a signature of HS256, whatever it says. Whoever has the key can make it. */
export function signed(header: unknown, claims: unknown, secret: string | Uint8Array = KEY.secret): string {
  const text = `${encoded(header)}.${encoded(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** Why a delegation was refused. Throws if it was not. */
export async function refusalOf(work: Promise<unknown>): Promise<DelegationRefusal> {
  const error: unknown = await work.then(
    () => new Error('The delegation was accepted.'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof DelegationError)) {
    throw new Error('The work did not fail with a DelegationError.', { cause: error });
  }
  return error.reason;
}
