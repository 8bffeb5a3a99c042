import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** One error of a GraphQL answer (GraphQL specification, section 7.1.2). */
export interface GraphqlErrorEntry {
  /** Text of the server: it may quote values. */
  readonly message?: string;
  /** Where in the data the value is missing. */
  readonly path?: readonly (string | number)[];
}

/**
 * The server answered a GraphQL request with errors: fields that are not granted or not found, an invalid document, or a
 * used-up quota. What could be read all the same stands in {@link MedplumGraphqlError.partialData}.
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

  // Not `errors`: console.log, pino and Nest's logger print the list of that name of any error. Nor `data`, which servers
  // of sockets and JSON-RPC send to the client.
  /** The errors as they were answered: PHI. */
  get graphqlErrors(): readonly GraphqlErrorEntry[] {
    return this.#graphqlErrors;
  }

  /** The data that was answered beside the errors; fields that failed are `null`. PHI. */
  get partialData(): unknown {
    return this.#partialData;
  }
}
