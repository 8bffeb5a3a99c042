/** The identity a call has to use. */
export interface Expected {
  /** Begins the name of everything that the call reads and writes, so that the server notices a mix-up. */
  readonly owner: string;
  /** The value of `X-Medplum-On-Behalf-Of`. `undefined`: the header is not sent. */
  readonly header: string | undefined;
  /** Whether the work was left behind by the Observable of a handler. Its further calls may come too late. */
  readonly isLeftBehind?: () => boolean;
}

/** Owns what nobody may send: the calls that the library has to refuse. */
export const NEVER: Expected = { owner: 'never', header: undefined };
/** Owns what the client does as itself. */
export const CLIENT: Expected = { owner: 'client', header: undefined };

/** The user of this number. */
export function user(number: number): Expected {
  return { owner: `u${number}`, header: `ProjectMembership/u${number}` };
}

/** What the server says of the storm. */
export interface ServerCounts {
  /** Requests that reached the server. */
  readonly requests: number;
  /** Requests that failed on purpose. */
  readonly faults: number;
  /** Requests whose path or body belongs to somebody else than the header says. */
  readonly mixUps: number;
  /** Requests of calls that the library had to refuse. */
  readonly forbidden: number;
  /** Open connections. */
  readonly connections: number;
  /** Describes the first mix-ups. */
  readonly examples: readonly string[];
}
