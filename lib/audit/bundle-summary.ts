import { RESOURCE_TYPE, resourceKey } from '../shared/fhir-id';

/** Entries of a batch or transaction that are alike. */
export interface RequestEventEntries {
  /** HTTP method of the entries. */
  readonly method: string;
  /** Resource type that they are about, if they name one. */
  readonly resourceType?: string;
  /** HTTP status that the server answered for them; absent when there was no answer. */
  readonly status?: number;
  /** How many they are. */
  readonly count: number;
}

/** The resources in an answer that is a bundle. */
export interface RequestEventReturned {
  /** How many resources the answer holds, included ones and OperationOutcomes as well. */
  readonly count: number;
  /** How many match on all pages, when the server said so. */
  readonly total?: number;
  /** How many of each type. */
  readonly types: Readonly<Record<string, number>>;
}

/** One entry of a batch or transaction as it was sent. */
export interface RequestedEntry {
  readonly method: string;
  readonly resourceType: string | undefined;
  /** PHI. `undefined` for what the server gives an id. */
  readonly resourceId: string | undefined;
}

/** Most references that an event names; its counts cover all of them. */
export const MOST_REFERENCES = 100;
/** Most groups of entries, and most types, that an event tells apart: what a server answers cannot fill the trail. */
const MOST_GROUPS = 50;

const METHOD = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE)$/;
/** A relative or absolute address whose last parts are a type, perhaps an id, and perhaps a version. */
const ADDRESS = new RegExp(
  `^(?:https?://.*?/)?/?(${RESOURCE_TYPE})(?:/([A-Za-z0-9.-]{1,64}))?(?:/_history/[^/?]+)?(?:$|[?])`,
);

interface Entry {
  readonly request?: { readonly method?: unknown; readonly url?: unknown };
  readonly response?: { readonly status?: unknown; readonly location?: unknown };
  readonly resource?: unknown;
}

/** What the entries of a bundle ask for; bodies are not kept. */
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

/** Entries as they were sent, with what the server answered for each, alike ones together. */
export function groupedEntries(sent: readonly RequestedEntry[], answer: unknown): readonly RequestEventEntries[] {
  const answered = entriesOf(answer);
  const groups = new Map<string, { -readonly [K in keyof RequestEventEntries]: RequestEventEntries[K] }>();
  sent.forEach(({ method, resourceType }, i) => {
    const given = answered[i]?.response?.status;
    const status = typeof given === 'string' ? /^\d{3}/.exec(given)?.[0] : undefined;
    const full = groups.size >= MOST_GROUPS;
    const type = full ? undefined : resourceType;
    const key = `${method} ${type} ${status}`;
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

/** The resources that a batch or transaction was about, as far as they have ids: `Patient/1`. PHI. */
export function entryReferences(sent: readonly RequestedEntry[], answer: unknown): readonly string[] {
  const answered = entriesOf(answer);
  const references = sent.map(({ resourceType, resourceId }, i) => {
    const [, type, id] = addressParts(answered[i]?.response?.location);
    const stored = resourceKey(answered[i]?.resource);
    return reference(type, id) ?? reference(resourceType, resourceId) ?? reference(stored.type, stored.id);
  });
  return capped(references);
}

/** What an answer holds, when it is a bundle of resources. */
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
  // One that is no object keeps its place: entries of an answer stand in the order of the request.
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
