/** One recorded request and its response. */
export interface WireCase {
  id: string;
  title: string;
  group: string;
  /** `C`, `N`, `L` or `T`; `badsecret` is C with a wrong secret; `none` sends no `Authorization`. */
  client: string;
  auth: 'basic' | 'bearer';
  /** `null` sends no header, `""` sends it empty, and a list sends it once per element. */
  onBehalfOf: string | string[] | null;
  extended?: boolean;
  /** The identity is not one well-formed reference. */
  malformed?: boolean;
  request: { method: string; path: string; headers?: Record<string, string | null>; body?: unknown };
  /** The source of each name: `location`, `etag`, `link:next`, or a path such as `$.entry[0].resource.id`. */
  capture?: Record<string, string>;
  expect: WireExpectation;
}

/** How the recorded server responded. */
export interface WireExpectation {
  status: number;
  /** `present`, `absent`, or a pattern. */
  headers?: Record<string, string>;
  /** Whether an OperationOutcome carried the tracing extension. */
  tracing?: 'present' | 'absent';
  /** Subset of the body. `"<empty>"` means that there is none; without a value, the body is not compared. */
  body?: unknown;
  /** Paths of arrays whose order does not matter. */
  unordered?: string[];
}

/** The result of seeding, in the format of `seeded.json`. */
export interface Seeded {
  baseUrl: string;
  vars: Record<string, string>;
}

/** A response as it came over the wire. */
export interface WireAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}
