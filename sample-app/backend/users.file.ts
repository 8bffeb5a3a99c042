import { readFile } from 'node:fs/promises';
import type { ClinicAccount } from '../auth/clinic-account';
import { isPasswordHash } from '../auth/password.hash';
import { ClinicSettingsError } from '../config/clinic.settings';

const MEMBERSHIP = /^ProjectMembership\/[A-Za-z0-9.-]{1,64}$/;

/**
 * Reads a JSON list of `{ "name", "passwordHash", "membership" }`.
 *
 * @throws ClinicSettingsError that lists every problem of the file, but never a hash.
 */
export async function readUsersFile(path: string): Promise<readonly ClinicAccount[]> {
  const users = await readJson(path);
  if (!Array.isArray(users)) {
    throw new ClinicSettingsError(['CLINIC_USERS_FILE must contain a JSON list of users.']);
  }
  const problems = users.flatMap((user: unknown, index) =>
    problemsOf(user).map((text) => `User ${index + 1}: ${text}`),
  );
  const accounts = users as ClinicAccount[];
  if (problems.length === 0 && new Set(accounts.map(({ name }) => name)).size < accounts.length) {
    problems.push('Two users have the same name. Give each of them a different one.');
  }
  if (problems.length > 0) {
    throw new ClinicSettingsError(problems.map((text) => `CLINIC_USERS_FILE: ${text}`));
  }
  return accounts.map(({ name, passwordHash, membership }) => ({ name, passwordHash, membership }));
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    throw new ClinicSettingsError([
      'CLINIC_USERS_FILE is not a readable JSON file. Check its path, its permissions and its syntax.',
    ]);
  }
}

function problemsOf(user: unknown): string[] {
  const { name, passwordHash, membership } = (user ?? {}) as Record<string, unknown>;
  return [
    ...(typeof name === 'string' && name !== '' ? [] : ['name is missing.']),
    ...(typeof passwordHash === 'string' && isPasswordHash(passwordHash)
      ? []
      : ['passwordHash must be a hash that "node dist-sample/hash-password.js" printed.']),
    ...(typeof membership === 'string' && MEMBERSHIP.test(membership)
      ? []
      : ['membership must be ProjectMembership/<id>.']),
  ];
}
