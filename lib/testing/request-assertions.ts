import { AssertionError } from 'node:assert';
import type { RecordedRequest } from './emulator.types';

/** What the assertions look at: an emulator, or anything with recorded requests. */
export interface RequestRecord {
  /** The requests that arrived, in order. */
  readonly requests: readonly RecordedRequest[];
}

/**
 * Asserts that the emulator got requests, and every one of them with exactly this identity. Requests for tokens carry
 * none and are left out.
 *
 * @param reference the value of the header, for example `ProjectMembership/<id>`
 * @throws AssertionError of `node:assert`, so that any test runner shows it.
 */
export function expectAllRequestsOnBehalfOf({ requests }: RequestRecord, reference: string): void {
  const relevant = withoutTokenRequests(requests);
  if (relevant.length === 0) {
    throw assertion('Expected requests on behalf of an identity, but none was made', [], reference);
  }
  report('Expected every request to be on behalf of the identity', relevant, (sent) => sent === reference, reference);
}

/**
 * Asserts that no request ran with the client's own rights: every one carried an identity. Requests for tokens are left
 * out.
 *
 * @throws AssertionError of `node:assert`.
 */
export function expectNoRequestAsClientApplication({ requests }: RequestRecord): void {
  report('Expected no request with the rights of the client itself', withoutTokenRequests(requests), (sent) =>
    Boolean(sent?.trim()),
  );
}

/**
 * Asserts that nothing was sent.
 *
 * @throws AssertionError of `node:assert`.
 */
export function expectNoRequests({ requests }: RequestRecord): void {
  report('Expected no request', requests, () => false);
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
    throw assertion(`${message}, but ${wrong.length} of ${requests.length} did otherwise`, wrong, expected);
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
