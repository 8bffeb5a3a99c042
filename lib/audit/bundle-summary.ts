import { RESOURCE_TYPE, resourceKey } from '../shared/fhir-id';

/** Entries of a batch or transaction with the same method, type and status. */
export interface RequestEventEntries {
  /** HTTP method of the entries. */
  readonly method: string;
  /** Their resource type, if they name one. */
  readonly resourceType?: string;
  /** HTTP status that the server returned for them. Absent when there was no response. */
  readonly status?: number;
  /** How many there are. */
  readonly count: number;
}

/** The resources in a response that is a bundle. */
export interface RequestEventReturned {
  /** How many resources the response holds. Included resources and OperationOutcomes count. */
  readonly count: number;
  /** How many match on all pages, if the server said so. */
  readonly total?: number;
  /** How many of each type. */
  readonly types: Readonly<Record<string, number>>;
}

/** One entry of a batch or transaction as it was sent. */
export interface RequestedEntry {
  readonly method: string;
  readonly resourceType: string | undefined;
  /** PHI. `undefined` when the server assigns the id. */
  readonly resourceId: string | undefined;
}

/** The largest number of references that an event names. Its counts cover all of them. */
export const MOST_REFERENCES = 100;
/** The largest number of groups, and of types, in one event, so that no response can fill the trail. */
const MOST_GROUPS = 50;

const METHOD = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE)$/;
/** A relative or absolute URL that ends with a type, an optional id and an optional version. */
const ADDRESS = new RegExp(
  `^(?:https?://.*?/)?/?(${RESOURCE_TYPE})(?:/([A-Za-z0-9.-]{1,64}))?(?:/_history/[^/?]+)?(?:$|[?])`,
);

interface Entry {
  readonly request?: { readonly method?: unknown; readonly url?: unknown };
  readonly response?: { readonly status?: unknown; readonly location?: unknown };
  readonly resource?: unknown;
}

/** What the entries of a bundle ask for, without their bodies. */
export function requestedEntries(entries: readonly unknown[]): readonly RequestedEntry[] {
  return entriesOf({ entry: entries }).map(({ request, resource }) => {
    const [, type, id] = addressParts(request?.url);
    return {
      method: matching(METHOD, request?.method) ?? 'UNKNOWN',
      resourceType: type ?? resourceKey(resource).type,
      resourceId: id,
    };
  });
}

/** The entries that were sent, grouped by method, type and the status that the server returned. */
export function groupedEntries(sent: readonly RequestedEntry[], answer: unknown): readonly RequestEventEntries[] {
  const answered = entriesOf(answer);
  const groups = new Map<string, { -readonly [K in keyof RequestEventEntries]: RequestEventEntries[K] }>();
  sent.forEach(({ method, resourceType }, i) => {
    const given = answered[i]?.response?.status;
    const status = typeof given === 'string' ? /^\d{3}/.exec(given)?.[0] : undefined;
    const keyOf = (type: string | undefined): string => `${method} ${type} ${status}`;
    const type = groups.size < MOST_GROUPS || groups.has(keyOf(resourceType)) ? resourceType : undefined;
    const key = keyOf(type);
    const group = groups.get(key);
    if (group) {
      group.count++;
    } else {
      groups.set(key, {
        method,
        ...(type === undefined ? {} : { resourceType: type }),
        ...(status === undefined ? {} : { status: Number(status) }),
        count: 1,
      });
    }
  });
  return Object.freeze([...groups.values()].map((group) => Object.freeze(group)));
}

/** The resources of a batch or transaction that have ids, such as `Patient/1`. PHI. */
export function entryReferences(sent: readonly RequestedEntry[], answer: unknown): readonly string[] {
  const answered = entriesOf(answer);
  const references = sent.map(({ resourceType, resourceId }, i) => {
    const [, type, id] = addressParts(answered[i]?.response?.location);
    const stored = resourceKey(answered[i]?.resource);
    return reference(type, id) ?? reference(resourceType, resourceId) ?? reference(stored.type, stored.id);
  });
  return capped(references);
}

/** The resources in a response. `undefined` when it is not a bundle. */
export function returnedResources(
  answer: unknown,
): { readonly returned: RequestEventReturned; readonly references: readonly string[] } | undefined {
  const bundle = Object(answer) as { resourceType?: unknown; total?: unknown };
  if (bundle.resourceType !== 'Bundle') {
    return undefined;
  }
  const keys = entriesOf(answer).map(({ resource }) => resourceKey(resource));
  const types = new Map<string, number>();
  for (const { type } of keys) {
    const name = type === undefined || (types.size >= MOST_GROUPS && !types.has(type)) ? 'other' : type;
    types.set(name, (types.get(name) ?? 0) + 1);
  }
  const total = Number.isSafeInteger(bundle.total) ? { total: bundle.total as number } : {};
  return {
    returned: Object.freeze({ count: keys.length, ...total, types: Object.freeze(Object.fromEntries(types)) }),
    references: capped(keys.map(({ type, id }) => reference(type, id))),
  };
}

/** What an address names: itself, a type, an id. */
function addressParts(address: unknown): readonly (string | undefined)[] {
  return (typeof address === 'string' && ADDRESS.exec(address)) || [];
}

function entriesOf(answer: unknown): readonly Entry[] {
  const { entry } = Object(answer) as { entry?: unknown };
  // An entry that is not an object keeps its place, because the response has the order of the request.
  return Array.isArray(entry) ? entry.map((one) => Object(one) as Entry) : [];
}

function reference(type: string | undefined, id: string | undefined): string | undefined {
  return type !== undefined && id !== undefined ? `${type}/${id}` : undefined;
}

function capped(references: readonly (string | undefined)[]): readonly string[] {
  const named = new Set(references.filter((one) => one !== undefined));
  return Object.freeze([...named].slice(0, MOST_REFERENCES));
}

function matching(pattern: RegExp, value: unknown): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined;
}
