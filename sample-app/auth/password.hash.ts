import { randomBytes, scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

// One of the settings that OWASP's Password Storage Cheat Sheet lists for scrypt; it needs 16 MB per login.
const COST = { N: 2 ** 14, r: 8, p: 5 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const FORMAT = /^scrypt\$([\w-]{22})\$([\w-]{43})$/;

/** `scrypt$<salt>$<key>`, both base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  return format(salt, await deriveKey(password, salt));
}

/** Whether `password` is the one that `hash` was made of. The time it takes does not depend on how wrong it is. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const [, salt = '', key = ''] = FORMAT.exec(hash) ?? [];
  const expected = Buffer.from(key, 'base64url');
  const actual = await deriveKey(password, Buffer.from(salt, 'base64url'));
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** Whether `value` is written as {@link hashPassword} writes it. */
export function isPasswordHash(value: string): boolean {
  return FORMAT.test(value);
}

/** A hash that no password has: verifying against it takes as long as against a real one. */
export function hashOfNobody(): string {
  return format(randomBytes(SALT_BYTES), randomBytes(KEY_BYTES));
}

function deriveKey(password: string, salt: Buffer): Promise<Buffer> {
  // The same letters may arrive composed or decomposed, as the keyboard likes it.
  return derive(password.normalize('NFKC'), salt, KEY_BYTES, COST);
}

function format(salt: Buffer, key: Buffer): string {
  return `scrypt$${salt.toString('base64url')}$${key.toString('base64url')}`;
}
