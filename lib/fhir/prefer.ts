import { MedplumBadRequestError } from '../errors/response.errors';
import type { FhirRequest } from './fhir-request';

/**
 * Refuses preferences (RFC 7240) that would undo what the library promises. The header decides, whatever the path is:
 * several spellings lead to the same route.
 *
 * - `respond-async` with an identity: Medplum would run a bundle as the client, whatever identity the request carries.
 *   Only the library's own bulk export is safe.
 * - `return=minimal` on a method that promises a result: the response would be empty, errors included.
 *
 * @param request with all of its headers.
 * @param onBehalfOf the identity; `undefined` when the request acts as the client itself.
 * @throws MedplumBadRequestError
 */
export function checkPrefer(request: FhirRequest, onBehalfOf: string | undefined): void {
  const { prefer = '' } = request.headers;
  if (onBehalfOf !== undefined && request.respondAsync !== true && /respond-async/i.test(prefer)) {
    throw new MedplumBadRequestError(
      'The request has the header Prefer: respond-async and an identity. Medplum runs an asynchronous bundle with the rights of the client instead of those of the user. Nothing was sent. ' +
        'Leave the header out, use medplum.bulk.export() for exports, or send the bundle as the client itself in asClientApplication().',
    );
  }
  const promises = request.expects ?? (request.repeatability === 'safe' && request.responseKind === undefined);
  if (promises !== false && /return\s*=\s*"?minimal/i.test(prefer)) {
    throw new MedplumBadRequestError(
      'The request has the header Prefer: return=minimal, but the method returns what the server responds. Nothing was sent. ' +
        'Leave the header out, or use post(), put() or patch() with a path.',
    );
  }
}
