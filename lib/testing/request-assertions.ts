import { AssertionError } from 'node:assert';
import type { RecordedRequest } from './emulator.types';

/** What the assertions check: an emulator, or anything else with recorded requests. */
export interface RequestRecord {
  /** The requests that arrived, in order. */
  readonly requests: readonly RecordedRequest[];
}

/**
 * Asserts that the emulator received requests, and that each of them carried exactly this identity. Token requests carry
 * no identity and do not count.
 *
 * @param reference the value of the header, for example `ProjectMembership/<id>`
 * @throws AssertionError of `node:assert`, so that any test runner shows it.
 */
export function expectAllRequestsOnBehalfOf({ requests }: RequestRecord, reference: string): void {
  const relevant = withoutTokenRequests(requests);
  if (relevant.length === 0) {
    throw assertion('Expected requests on behalf of the identity, but none was made', [], reference);
  }
  const message = 'Expected every request to be on behalf of the identity, but some were not';
  report(message, relevant, (sent) => sent === reference, reference);
}

/**
 * Asserts that no request ran with the client's own rights, because each of them carried an identity. Token requests do
 * not count.
 *
 * @throws AssertionError of `node:assert`.
 */
export function expectNoRequestAsClientApplication({ requests }: RequestRecord): void {
  const message = "Expected no request with the client's own rights, but some had them";
  report(message, withoutTokenRequests(requests), (sent) => Boolean(sent?.trim()));
}

/**
 * Asserts that nothing was sent.
 *
 * @throws AssertionError of `node:assert`.
 */
export function expectNoRequests({ requests }: RequestRecord): void {
  report('Expected no request, but some arrived', requests, () => false);
}

function withoutTokenRequests(requests: readonly RecordedRequest[]): RecordedRequest[] {
  return requests.filter(({ path }) => !path.startsWith('/oauth2/'));
}

function report(
  message: string,
  requests: readonly RecordedRequest[],
  isFine: (onBehalfOf: string | undefined) => boolean,
  expected?: string,
): void {
  const wrong = requests.filter(({ onBehalfOf }) => !isFine(onBehalfOf));
  if (wrong.length > 0) {
    throw assertion(`${message} (${wrong.length} of ${requests.length})`, wrong, expected);
  }
}

function assertion(message: string, wrong: readonly RecordedRequest[], expected: string | undefined): AssertionError {
  const lines = wrong.map(({ method, path, onBehalfOf }) => `  ${method} ${path}: ${show(onBehalfOf)}`);
  return new AssertionError({
    message: [message, ...lines].join('\n'),
    actual: wrong.map(({ onBehalfOf }) => onBehalfOf),
    expected,
    operator: 'strictEqual',
  });
}

function show(onBehalfOf: string | undefined): string {
  return onBehalfOf === undefined ? 'no identity' : `identity "${onBehalfOf}"`;
}
