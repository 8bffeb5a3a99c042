import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * The `beforeRequest` option of the client threw, or made of a request something that is not sent. Nothing was sent.
 * `cause` tells the name and code of what it threw.
 */
export class MedplumBeforeRequestError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_BEFORE_REQUEST', message, details);
  }
}
