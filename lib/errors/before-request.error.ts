import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * Thrown when the `beforeRequest` option of the client threw, or changed the request into one that the library does not
 * send. Nothing was sent, so `effect` is `none`. Correct the hook: the message names what it did, and `cause` has the
 * name and code of what it threw.
 */
export class MedplumBeforeRequestError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_BEFORE_REQUEST', message, details);
  }
}
