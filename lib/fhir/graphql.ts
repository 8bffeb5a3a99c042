import type { MedplumError } from '../errors/medplum.error';
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type GraphqlErrorEntry, MedplumGraphqlError } from '../errors/graphql.error';
import { objects } from '../shared/objects';
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

function problemOf(body: unknown, writes: boolean): MedplumError | undefined {
  const { data, errors } = Object(body) as { data?: unknown; errors?: GraphqlErrorEntry[] };
  const list = objects(errors);
  const effect = writes ? 'unknown' : 'none';
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
