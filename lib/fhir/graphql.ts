import type { MedplumError } from '../errors/medplum.error';
import { MedplumBadRequestError, MedplumProtocolError, MedplumRateLimitError } from '../errors/response.errors';
import { type GraphqlErrorEntry, MedplumGraphqlError } from '../errors/graphql.error';
import { objects } from '../shared/objects';
import { longestWait, msBeforeNext } from '../shared/rate-limit';
import { isReadOnly } from './graphql-document';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, ROOT } from './interactions';

/** What the event of a GraphQL request records. */
export const GRAPHQL = {
  action: 'operation',
  method: 'POST',
  pathTemplate: `/${ROOT}/$graphql`,
} as const satisfies FhirInteraction;

/** POST `$graphql`. A document counts as a write unless it consists of queries only. */
export function graphql(
  query: string,
  operationName: string | undefined,
  variables: Readonly<Record<string, unknown>> | undefined,
): FhirRequest {
  if (typeof query !== 'string' || query.trim() === '') {
    throw new MedplumBadRequestError('graphql() takes a GraphQL document as text that is not empty.');
  }
  const writes = !isReadOnly(query);
  return {
    ...GRAPHQL,
    path: `${ROOT}/$graphql`,
    query: '',
    operation: '$graphql',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: json({ query, operationName, variables: variables ?? {} }, 'variables'),
    repeatability: writes ? 'unsafe' : 'safe',
    expects: 'body',
    check: (body) => problemOf(body, writes),
  };
}

/** Begin of the message with which Medplum refuses a field when the quota is used up. The status stays 200. */
const THROTTLED = 'Too Many Requests';

function isAllNull(data: unknown): boolean {
  return Object.values(Object(data) as object).every((value) => value === null);
}

function problemOf(body: unknown, writes: boolean): MedplumError | undefined {
  const { data, errors } = Object(body) as { data?: unknown; errors?: GraphqlErrorEntry[] };
  const list = objects(errors);
  const effect = writes ? 'unknown' : 'none';
  const throttled = list.filter(({ message }) => typeof message === 'string' && message.startsWith(THROTTLED));
  if (throttled.length > 0) {
    // Fields are resolved one by one, so a mutation may have written with some of them.
    const nothingWritten = !writes || (throttled.length === list.length && isAllNull(data));
    return new MedplumRateLimitError(
      'The response to the GraphQL request says that the quota of the client, shared by all its users, is used up.',
      {
        status: 200,
        effect: nothingWritten ? 'none' : effect,
        retryable: nothingWritten,
        retryAfter: longestWait(throttled.map(({ message }) => msBeforeNext(message))),
      },
    );
  }
  if (list.length > 0) {
    return new MedplumGraphqlError(
      `The response to the GraphQL request lists errors (${list.length}). error.graphqlErrors holds them, and error.partialData the data that could be read.`,
      { status: 200, effect, errors: list, data },
    );
  }
  // GraphQL specification, section 7.1: without errors there is data.
  return data === undefined || data === null
    ? new MedplumProtocolError(
        'The response to the GraphQL request has neither data nor errors. Check that baseUrl leads to a Medplum server.',
        { status: 200, effect },
      )
    : undefined;
}
