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

/** Whether `hash` was made from `password`. The time this takes does not reveal how wrong the password is. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const [, salt = '', key = ''] = FORMAT.exec(hash) ?? [];
  const expected = Buffer.from(key, 'base64url');
  const actual = await deriveKey(password, Buffer.from(salt, 'base64url'));
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** Whether `value` has the format of {@link hashPassword}. */
export function isPasswordHash(value: string): boolean {
  return FORMAT.test(value);
}

/** A hash that no password matches. Verifying against it takes as long as against a real one. */
export function hashOfNobody(): string {
  return format(randomBytes(SALT_BYTES), randomBytes(KEY_BYTES));
}

function deriveKey(password: string, salt: Buffer): Promise<Buffer> {
  // Depending on the keyboard, the same letters may arrive composed or decomposed.
  return derive(password.normalize('NFKC'), salt, KEY_BYTES, COST);
}

function format(salt: Buffer, key: Buffer): string {
  return `scrypt$${salt.toString('base64url')}$${key.toString('base64url')}`;
}
