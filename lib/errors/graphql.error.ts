import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** One error of a GraphQL response (GraphQL specification, section 7.1.2). */
export interface GraphqlErrorEntry {
  /** The server's text. It may quote stored values: PHI. */
  readonly message?: string;
  /** Path to the value that is missing in the data. */
  readonly path?: readonly (string | number)[];
}

/**
 * Thrown when the response to a GraphQL request lists errors: the identity may not read a field, a field was not found, or
 * the document is invalid. The fields that could be read are in
 * {@link MedplumGraphqlError.partialData}.
 *
 * `effect` is `none` for a query. It is `unknown` for a document with a mutation: read the data before you repeat it.
 */
export class MedplumGraphqlError extends MedplumError {
  readonly #graphqlErrors: readonly GraphqlErrorEntry[];
  readonly #partialData: unknown;

  constructor(
    message: string,
    details: MedplumErrorDetails & { readonly errors?: readonly GraphqlErrorEntry[]; readonly data?: unknown } = {},
  ) {
    super('MEDPLUM_GRAPHQL', message, details);
    this.#graphqlErrors = details.errors ?? [];
    this.#partialData = details.data;
  }

  // The name is not `errors`, because console.log, pino and Nest's logger print a list of that name. The next one is
  // not `data`, because socket and JSON-RPC servers send a field of that name to the client.
  /** The errors as the server returned them. PHI. */
  get graphqlErrors(): readonly GraphqlErrorEntry[] {
    return this.#graphqlErrors;
  }

  /** The data that came with the errors. Fields that failed are `null`. PHI. */
  get partialData(): unknown {
    return this.#partialData;
  }
}
