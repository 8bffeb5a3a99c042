import { MedplumUnauthorizedError } from '../errors/response.errors';

/** The secret of the ClientApplication, or where to ask for it (so that it can be rotated without a restart). */
export type ClientSecret = string | (() => string | Promise<string>);

/** @throws MedplumUnauthorizedError when the function fails or gives no secret. */
export async function askForSecret(secret: ClientSecret): Promise<string> {
  let given: unknown;
  try {
    given = typeof secret === 'string' ? secret : await secret();
  } catch (cause) {
    throw new MedplumUnauthorizedError('The clientSecret function failed.', {
      cause,
      retryable: true,
    });
  }
  if (typeof given !== 'string' || given === '') {
    throw new MedplumUnauthorizedError('The clientSecret function gave no secret (expected a string).');
  }
  return given;
}
