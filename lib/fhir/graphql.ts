import { MedplumBadRequestError } from '../errors/response.errors';
import { type GraphqlErrorEntry, MedplumGraphqlError } from '../errors/graphql.error';
import { objects } from '../http/objects';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, ROOT } from './interactions';

/** What the event says of a GraphQL request. */
export const GRAPHQL = {
  action: 'operation',
  method: 'POST',
  pathTemplate: `/${ROOT}/$graphql`,
} as const satisfies FhirInteraction;

/** Strings and comments, in which a word means nothing. */
const TEXT = /"""[^]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*/g;

/** POST `$graphql`. A document that has a mutation in it is never repeated. */
export function graphql(
  query: string,
  operationName: string | undefined,
  variables: Readonly<Record<string, unknown>> | undefined,
): FhirRequest {
  if (typeof query !== 'string' || query.trim() === '') {
    throw new MedplumBadRequestError('graphql() takes the text of a GraphQL document.');
  }
  const writes = /\bmutation\b/.test(query.replace(TEXT, '""'));
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
    `The GraphQL request was answered with ${list.length} errors; error.graphqlErrors and error.partialData hold what was answered.`,
    { status: 200, effect: writes ? 'unknown' : 'none', errors: list, data },
  );
}
