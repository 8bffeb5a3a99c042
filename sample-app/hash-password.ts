import { text } from 'node:stream/consumers';
import { hashPassword } from './auth/password.hash';

/** Reads a password from stdin, to keep it out of the command line, and prints its hash for `CLINIC_USERS_FILE`. */
async function main(): Promise<void> {
  const password = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (password === '') {
    throw new Error('There is no password on stdin. Type it, or pipe it into this command.');
  }
  console.log(await hashPassword(password));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
