import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { objects } from '../shared/objects';
import { longestWait, msBeforeNext, rateLimits } from '../shared/rate-limit';

const RESET_EXTENSION = 'https://medplum.com/fhir/StructureDefinition/rate-limit-reset';

/** The longest wait for the limits that are used up (`r=0`), as in `"fhirInteractions";r=0;t=60`. */
function fromRateLimit(header: string | undefined): number | undefined {
  return longestWait(rateLimits(header).map(({ remaining, reset }) => (remaining === 0 ? reset : undefined)));
}

function fromExtension(outcome: OperationOutcome | undefined): number | undefined {
  const extensions = [...objects(outcome?.extension), ...objects(objects(outcome?.issue)[0]?.extension)];
  const reset = extensions.find((extension) => extension.url === RESET_EXTENSION);
  const seconds = reset?.valueInteger ?? reset?.valueDecimal ?? reset?.valueUnsignedInt;
  return typeof seconds === 'number' && seconds >= 0 ? seconds * 1000 : undefined;
}

/** RFC 9110 section 5.6.7. `Date.parse` alone accepts nearly anything as a date, even `-5`. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, .* \d\d:\d\d:\d\d GMT$/;

/** RFC 9110 section 10.2.3: seconds, or a date. */
function fromRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) {
    return undefined;
  }
  if (/^\d{1,9}$/.test(header.trim())) {
    return Number(header) * 1000;
  }
  const date = HTTP_DATE.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/**
 * How long the server asks the client to wait before the next request, in ms; `undefined` when it does not ask. Medplum
 * uses `RateLimit` headers and its OperationOutcome. `Retry-After` comes from proxies in front of it.
 */
export function retryAfter(
  header: (name: string) => string | undefined,
  outcome: OperationOutcome | undefined,
): number | undefined {
  return (
    fromRateLimit(header('ratelimit')) ??
    msBeforeNext(objects(outcome?.issue)[0]?.diagnostics) ??
    fromExtension(outcome) ??
    fromRetryAfter(header('retry-after'))
  );
}
