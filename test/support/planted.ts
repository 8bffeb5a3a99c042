import { format, inspect, types } from 'node:util';
import { loggedByNest, loggedByPino } from './loggers';

const MARK = 'planted-';

/** Secrets, PHI and foreign texts. Each names what it stands for, and is valid in ids, headers and URLs. */
export const PLANTED = {
  clientId: `${MARK}client-id`,
  clientSecret: `${MARK}client-secret`,
  token: `${MARK}access-token`,
  tokenEndpoint: `${MARK}text-of-the-token-endpoint`,
  project: `${MARK}project-in-the-base-url`,
  record: `${MARK}record-id`,
  version: `${MARK}version-id`,
  membership: `${MARK}membership-id`,
  query: `${MARK}query-value`,
  header: `${MARK}header-value`,
  body: `${MARK}request-body`,
  server: `${MARK}text-of-the-server`,
  signed: `${MARK}signature-of-an-address`,
  subject: `${MARK}subject`,
  actor: `${MARK}actor`,
  address: `${MARK}address-of-the-user`,
  reason: `${MARK}reason`,
  thrown: `${MARK}text-of-a-foreign-error`,
} as const;

/** An error from foreign code, with planted values wherever an error can have them. */
export function taintedError(): Error {
  return Object.assign(new Error(PLANTED.thrown, { cause: new Error(PLANTED.thrown) }), {
    name: `${PLANTED.thrown} of somebody`,
    code: `${PLANTED.thrown} / 1`,
    body: PLANTED.server,
    response: { data: PLANTED.server, headers: { authorization: PLANTED.clientSecret } },
    errors: [new Error(PLANTED.server)],
  });
}

/** {@link MARK} in base64, at each of its three possible offsets within a group. */
const BASE64 = [0, 1, 2].map((offset) =>
  Buffer.from('\0'.repeat(offset) + MARK)
    .toString('base64')
    .slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + MARK.length) * 8) / 6)),
);
const BYTES = [...Buffer.from(MARK)];
const ENCODED = [
  ...BASE64,
  BYTES.map((byte) => byte.toString(16)).join(''),
  BYTES.map((byte) => byte.toString(16)).join(' '),
  BYTES.join(','),
];

/** Returns everything in a text that must not be there. */
export type Finder = (text: string) => readonly string[];

/** Returns the planted values in a text, whether plain, in base64 or as bytes. */
export const plantedIn: Finder = (text) => [
  ...new Set([
    ...(text.match(/planted-[a-z-]*[a-z]/gi) ?? []),
    ...ENCODED.filter((encoded) => text.includes(encoded)).map(() => `${MARK}something-encoded`),
  ]),
];

/**
 * Getters that return PHI on purpose: code that reads one by its name wants the value. Loggers do not read them, unless a
 * name is one that loggers look for (`errors`, `cause`, `toJSON` …).
 */
export const DOORS: ReadonlySet<string> = new Set([
  'AuditSinkError.result',
  'MedplumError.outcome',
  'MedplumError.request',
  'MedplumGraphqlError.graphqlErrors',
  'MedplumGraphqlError.partialData',
  'MedplumTransactionError.response',
  'MedplumService.currentOnBehalfOf',
  'RecordedRequestEvent.baseUrl',
  'RecordedRequestEvent.clientId',
  'RecordedRequestEvent.context',
  'RecordedRequestEvent.delegation',
  'RecordedRequestEvent.onBehalfOf',
  'RecordedRequestEvent.path',
  'RecordedRequestEvent.query',
  'RecordedRequestEvent.reason',
  'RecordedRequestEvent.references',
  'RecordedRequestEvent.resourceId',
  'RecordedRequestEvent.resourceVersion',
  'WireAttempt.onBehalfOf',
  // Internal: the parts of a client, and the content of a scope.
  'CallScope.identity',
  'MedplumConnection.settings',
  'Reminders.Symbol(nestjs-medplum:ModuleRef)',
]);

/** Getters of the library's classes whose values {@link leaksOf} has inspected. */
export const evaluated = new Set<string>();

const SHOW_ALL = { depth: Infinity, showHidden: true, maxArrayLength: null, maxStringLength: null } as const;

/** Every way in which software turns an unknown value into text. */
const ROADS: Readonly<Record<string, (value: unknown) => unknown>> = {
  String: (value) => String(value),
  JSON: (value) => JSON.stringify(value),
  'JSON of a copy': (value) => JSON.stringify({ ...(value as object) }),
  'JSON of entries': (value) => JSON.stringify(Object.entries(value as object)),
  inspect: (value) => inspect(value),
  'inspect, all of it': (value) => inspect(value, SHOW_ALL),
  'inspect, all of it, as it is': (value) => inspect(value, { ...SHOW_ALL, customInspect: false }),
  format: (value) => format('%s %o %O %j', value, value, value, value),
  'a structured clone': (value) => inspect(structuredClone(value), SHOW_ALL),
  pino: loggedByPino,
  'the logger of Nest': loggedByNest,
};

/** Returns every planted value that `value` shows unasked, as `road: what`. Empty if there is none. */
export function leaksOf(value: unknown, find: Finder = plantedIn): string[] {
  const leaks = new Set<string>();
  for (const [road, take] of Object.entries(ROADS)) {
    let text: string;
    try {
      text = String(take(value));
    } catch {
      // Cyclic values have no JSON and functions cannot be cloned, so nothing leaks there.
      continue;
    }
    find(text).forEach((what) => leaks.add(`${road}: ${what}`));
  }
  walk(value, '', find, (leak) => leaks.add(leak), new Set());
  return [...leaks];
}

/** Searches everything that the properties of a value lead to: own, hidden and inherited ones, except {@link DOORS}. */
function walk(value: unknown, path: string, find: Finder, report: (leak: string) => void, seen: Set<unknown>): void {
  if (typeof value === 'string') {
    find(value).forEach((what) => report(`${path}: ${what}`));
    return;
  }
  if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) {
    return;
  }
  if (value === globalThis || value === process) {
    return;
  }
  seen.add(value);
  const go = (next: unknown, name: string) => walk(next, `${path}${name}`, find, report, seen);
  if (types.isUint8Array(value)) {
    go(Buffer.from(value).toString('latin1'), ' as text');
    return;
  }
  if (types.isMap(value) || types.isSet(value)) {
    [...value].forEach((entry, i) => go(entry, `<${i}>`));
  }
  for (const [key, part] of partsOf(value)) {
    find(String(key)).forEach((what) => report(`${path}, the name of a property: ${what}`));
    go(part, `.${String(key)}`);
  }
}

/** The prototypes at which the search for properties stops. */
const ROOTS: ReadonlySet<object> = new Set([Object.prototype, Function.prototype]);

/** The properties, with values, of the value itself and of its prototypes. */
function* partsOf(value: object): Iterable<readonly [string | symbol, unknown]> {
  const keys = new Set<string | symbol>();
  for (let level: object | null = value; level && !ROOTS.has(level); level = Object.getPrototypeOf(level) as object) {
    for (const key of Reflect.ownKeys(level)) {
      const property = Object.getOwnPropertyDescriptor(level, key);
      const isMethod = level !== value && typeof property?.value === 'function';
      if (keys.has(key) || !property || isMethod || (typeof value === 'function' && key === 'prototype')) {
        continue;
      }
      keys.add(key);
      if (!property.get) {
        yield [key, property.value];
        continue;
      }
      const door = `${level.constructor?.name}.${String(key)}`;
      if (DOORS.has(door)) {
        continue;
      }
      if (level !== value && /^class\b/.test(String(level.constructor))) {
        evaluated.add(door);
      }
      yield [key, attempt(() => Reflect.get(value, key, value) as unknown)];
    }
  }
}

function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return error;
  }
}
