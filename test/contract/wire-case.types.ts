/** One recorded request and answer. */
export interface WireCase {
  id: string;
  title: string;
  group: string;
  /** `C`, `N`, `L`, `T`; `badsecret`: C with a wrong secret; `none`: no Authorization. */
  client: string;
  auth: 'basic' | 'bearer';
  /** `null`: no header; `""`: sent empty; a list: sent once per element. */
  onBehalfOf: string | string[] | null;
  extended?: boolean;
  request: { method: string; path: string; headers?: Record<string, string | null>; body?: unknown };
  /** Name to source: `location`, `etag`, `link:next`, or a path such as `$.entry[0].resource.id`. */
  capture?: Record<string, string>;
  expect: WireExpectation;
}

/** What the recorded server answered. */
export interface WireExpectation {
  status: number;
  /** `present`, `absent`, or a pattern. */
  headers?: Record<string, string>;
  /** Whether an OperationOutcome carried the tracing extension. */
  tracing?: 'present' | 'absent';
  /** Subset of the body; `"<empty>"`: none; missing: not compared. */
  body?: unknown;
  /** Paths of arrays whose order does not matter. */
  unordered?: string[];
}

/** What seeding gave: the format of `seeded.json`. */
export interface Seeded {
  baseUrl: string;
  vars: Record<string, string>;
}

/** An answer as it came over the wire. */
export interface WireAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}
