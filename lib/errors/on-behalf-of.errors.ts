import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * The call named nobody to act for. Nothing was sent: Medplum treats a missing identity as "run as the client",
 * and the client is a project admin.
 */
export class OnBehalfOfRequiredError extends MedplumError {
  constructor(message: string) {
    super('MEDPLUM_ON_BEHALF_OF_REQUIRED', message);
  }
}

/** A value given as identity is not one well-formed reference to someone who may be acted for. Nothing was sent. */
export class OnBehalfOfReferenceError extends MedplumError {
  constructor(message: string) {
    super('MEDPLUM_ON_BEHALF_OF_REFERENCE', message);
  }
}

/**
 * The server refused the identity itself (unknown, deleted or foreign membership, a profile without one, or a client
 * that may not act for others), before it looked at the resource. Its status may be 400, 403, 404 or 410 all the same.
 * Without a status, the option `membershipCheck` refused it, and nothing was sent for it.
 */
export class OnBehalfOfRejectedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_ON_BEHALF_OF_REJECTED', message, details);
  }
}
