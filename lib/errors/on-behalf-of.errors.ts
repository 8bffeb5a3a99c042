import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * Thrown when a call has no identity to act for, neither its own nor one of the scope or the client. Nothing was sent,
 * so `effect` is `none`: Medplum would run the request as the client, which is a project admin. Decorate the handler
 * with `@OnBehalfOf()`, pass `{ onBehalfOf }`, or use `asClientApplication()` if you mean the client itself.
 *
 * With a `status`, it refused a message of a WebSocket or a microservice, whose source returned nobody. An HTTP request
 * gets that status then: 401 when nobody is logged in, else 403.
 */
export class OnBehalfOfRequiredError extends MedplumError {
  constructor(message: string, details?: Pick<MedplumErrorDetails, 'status'>) {
    super('MEDPLUM_ON_BEHALF_OF_REQUIRED', message, details);
  }
}

/**
 * Thrown when you give a value as an identity that cannot be one: it is not a well-formed reference to a membership or
 * a profile, or the call takes no identity. Nothing was sent, so `effect` is `none`. Correct the value.
 */
export class OnBehalfOfReferenceError extends MedplumError {
  constructor(message: string) {
    super('MEDPLUM_ON_BEHALF_OF_REFERENCE', message);
  }
}

/**
 * Thrown when the identity itself was refused: the membership is unknown, deleted or in another project, the profile
 * has no membership, or the client may not act for others.
 *
 * With a `status` (400, 403, 404 or 410), the server refused it before it looked at the resource. Without one, the
 * option `membershipCheck` refused it, and nothing was sent for the identity. `effect` is `none`, unless an earlier
 * attempt of the same write has an unknown effect. Check the membership in Medplum: repeating the call does not help.
 */
export class OnBehalfOfRejectedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_ON_BEHALF_OF_REJECTED', message, details);
  }
}
