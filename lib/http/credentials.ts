import { MedplumUnauthorizedError } from '../errors/response.errors';
import { MedplumTimeoutError } from '../errors/transport.errors';
import { Cancelled, type Deadline } from './deadline';

/**
 * Time limit for getting credentials, in ms. All waiting calls share what they wait for, so the limit of one call does
 * not end it.
 */
export const CREDENTIALS_TIMEOUT = 10_000;

/** The secret of the ClientApplication, or a function that returns it, so that you can rotate it without a restart. */
export type ClientSecret = string | (() => string | Promise<string>);

/** Where the value of the `Authorization` header comes from. */
export interface Credentials {
  /** The value to send now; `undefined` sends no header. Rejects with a `MedplumError` when there is no value. */
  authorization(): string | Promise<string> | undefined;
  /**
   * Called once per call, when the server responded to `rejected` with 401. Resolves to whether there is another value
   * to try.
   */
  renew(rejected: string): Promise<boolean>;
}

/** For addresses that are credentials themselves: sends no header. */
export const NO_CREDENTIALS: Credentials = {
  authorization: () => undefined,
  renew: () => Promise.resolve(false),
};

/**
 * The secret itself.
 *
 * @param deadline limits how long the function may take.
 * @throws MedplumUnauthorizedError when the function throws, or returns anything but text; MedplumTimeoutError when it
 * takes too long.
 */
export async function readSecret(secret: ClientSecret, deadline: Deadline): Promise<string> {
  let given: unknown;
  try {
    given = typeof secret === 'string' ? secret : await deadline.race((async () => secret())());
  } catch (cause) {
    if (cause instanceof Cancelled) {
      throw new MedplumTimeoutError(
        `There are no credentials: the function in the option clientSecret returned nothing within ${CREDENTIALS_TIMEOUT} ms. The next call asks it again.`,
        { retryable: true },
      );
    }
    throw new MedplumUnauthorizedError(
      'There are no credentials: the function in the option clientSecret threw; cause has its name.',
      { cause, retryable: true },
    );
  }
  if (typeof given !== 'string' || given === '') {
    throw new MedplumUnauthorizedError(
      'There are no credentials: the function in the option clientSecret returned no secret. It must return text.',
    );
  }
  return given;
}
