import { readFile } from 'node:fs/promises';
import type { ClinicAccount } from '../auth/clinic-account';
import { isPasswordHash } from '../auth/password.hash';
import { ClinicSettingsError } from '../config/clinic.settings';

const MEMBERSHIP = /^ProjectMembership\/[A-Za-z0-9.-]{1,64}$/;

/**
 * Reads a JSON list of `{ "name", "passwordHash", "membership" }`.
 *
 * @throws ClinicSettingsError with every problem of the file, never with a hash.
 */
export async function readUsersFile(path: string): Promise<readonly ClinicAccount[]> {
  const users = await readJson(path);
  if (!Array.isArray(users)) {
    throw new ClinicSettingsError(['CLINIC_USERS_FILE must hold a JSON list of users.']);
  }
  const problems = users.flatMap((user: unknown, index) =>
    problemsOf(user).map((text) => `User ${index + 1}: ${text}`),
  );
  const accounts = users as ClinicAccount[];
  if (problems.length === 0 && new Set(accounts.map(({ name }) => name)).size < accounts.length) {
    problems.push('Two users have the same name.');
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
    throw new ClinicSettingsError(['CLINIC_USERS_FILE names no readable JSON file.']);
  }
}

function problemsOf(user: unknown): string[] {
  const { name, passwordHash, membership } = (user ?? {}) as Record<string, unknown>;
  return [
    ...(typeof name === 'string' && name !== '' ? [] : ['name is missing.']),
    ...(typeof passwordHash === 'string' && isPasswordHash(passwordHash)
      ? []
      : ['passwordHash is not one that hash-password writes.']),
    ...(typeof membership === 'string' && MEMBERSHIP.test(membership)
      ? []
      : ['membership must be ProjectMembership/<id>.']),
  ];
}
