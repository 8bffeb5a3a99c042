import { text } from 'node:stream/consumers';
import { hashPassword } from './auth/password.hash';

/** Reads a password from stdin, so that it stands in no command line, and prints what `CLINIC_USERS_FILE` needs. */
async function main(): Promise<void> {
  const password = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (password === '') {
    throw new Error('Give the password on stdin.');
  }
  console.log(await hashPassword(password));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
