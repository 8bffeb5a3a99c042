import { MedplumBadRequestError } from '../errors/response.errors';
import { type GraphqlErrorEntry, MedplumGraphqlError } from '../errors/graphql.error';
import { objects } from '../shared/objects';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, ROOT } from './interactions';

/** What the event of a GraphQL request records. */
export const GRAPHQL = {
  action: 'operation',
  method: 'POST',
  pathTemplate: `/${ROOT}/$graphql`,
} as const satisfies FhirInteraction;

/** Strings and comments of a document. The word `mutation` means nothing there. */
const STRINGS_AND_COMMENTS = /"""[^]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*/g;

/** POST `$graphql`. A document with a mutation counts as a write. */
export function graphql(
  query: string,
  operationName: string | undefined,
  variables: Readonly<Record<string, unknown>> | undefined,
): FhirRequest {
  if (typeof query !== 'string' || query.trim() === '') {
    throw new MedplumBadRequestError('graphql() takes a GraphQL document as text that is not empty.');
  }
  const writes = /\bmutation\b/.test(query.replace(STRINGS_AND_COMMENTS, '""'));
  return {
    ...GRAPHQL,
    path: `${ROOT}/$graphql`,
    query: '',
    operation: '$graphql',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: json({ query, operationName, variables: variables ?? {} }, 'variables'),
    repeatability: writes ? 'unsafe' : 'safe',
    check: (body) => errorsOf(body, writes),
  };
}

function errorsOf(body: unknown, writes: boolean): MedplumGraphqlError | undefined {
  const { data, errors } = body as { data?: unknown; errors?: GraphqlErrorEntry[] };
  const list = objects(errors);
  if (list.length === 0) {
    return undefined;
  }
  return new MedplumGraphqlError(
    `The response to the GraphQL request lists errors (${list.length}). error.graphqlErrors holds them, and error.partialData the data that could be read.`,
    { status: 200, effect: writes ? 'unknown' : 'none', errors: list, data },
  );
}
