import type { FhirAction, FhirRequest } from './fhir-request';

/** What one interaction takes from the quota `fhirInteractions` of the server, in points. */
const POINTS = { read: 1, history: 10, search: 20, write: 100 } as const;

const OF_ACTION: Readonly<Partial<Record<FhirAction, number>>> = {
  read: POINTS.read,
  vread: POINTS.read,
  history: POINTS.history,
  search: POINTS.search,
  create: POINTS.write,
  update: POINTS.write,
  patch: POINTS.write,
  delete: POINTS.write,
};

/**
 * How many points a request will take from the client's quota. What an operation, a GraphQL query or a conditional write
 * does on the server is a guess: the responses say what is really left.
 */
export function interactionCost({ action, method, query, entries, repeatability }: FhirRequest): number {
  if (entries) {
    return entries.reduce<number>((sum, entry) => sum + entryCost(entry), 0);
  }
  const known = OF_ACTION[action];
  if (known !== undefined) {
    return known;
  }
  if (repeatability !== 'safe') {
    return POINTS.write;
  }
  return action === 'raw' && method === 'GET' && query === '' ? POINTS.read : POINTS.search;
}

function entryCost(entry: unknown): number {
  const request = (entry as { readonly request?: { readonly method?: unknown; readonly url?: unknown } } | null)
    ?.request;
  if (request?.method !== 'GET' && request?.method !== 'HEAD') {
    return POINTS.write;
  }
  return typeof request.url === 'string' && /^\/?[^/?]+\/[^/?]+$/.test(request.url) ? POINTS.read : POINTS.search;
}
