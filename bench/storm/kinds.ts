import type { MedplumRequestOptions, MedplumService } from 'nestjs-medplum';
import type { Tally } from './ledger';
import type { Random } from './random';
import { user } from './storm.types';

/** One way to call the library for the resource of this name. Resolves to the response; `undefined` if it holds nothing. */
type Kind = (
  medplum: MedplumService,
  name: string,
  options: MedplumRequestOptions,
  tally: Tally,
  random: Random,
) => Promise<unknown>;

const patient = (name: string) => ({ resourceType: 'Patient' as const, identifier: [{ value: name }] });

/** Pulls the pages of a search, some in the scope of a stranger: they keep the identity of the call. */
const pages: Kind = async (medplum, name, options, tally, random) => {
  const iterator = medplum.searchResourcePages('Patient', { identifier: name, _count: 1 }, options);
  const found: unknown[] = [];
  tally.requests = 0;
  for (;;) {
    tally.requests++;
    const pull = () => iterator.next();
    const page = await (random.chance(0.5) ? medplum.onBehalfOf(user(0).owner, pull) : pull());
    if (page.done === true) {
      tally.requests--;
      return found;
    }
    found.push(page.value);
  }
};

const KINDS: readonly [Kind, ...Kind[]] = [
  (medplum, name, options) => medplum.readResource('Patient', name, options),
  (medplum, name, options) => medplum.readResource('Patient', name, options),
  (medplum, name, options) => medplum.createResource(patient(name), options),
  (medplum, name, options) => medplum.createResourceIfNoneExist(patient(name), { identifier: name }, options),
  (medplum, name, options) => medplum.updateResource({ ...patient(name), id: name }, options),
  (medplum, name, options) =>
    medplum.patchResource('Patient', name, [{ op: 'add', path: '/active', value: true }], options),
  (medplum, name, options) => medplum.deleteResource('Patient', name, options),
  (medplum, name, options) => medplum.searchResources('Patient', { identifier: name }, options),
  (medplum, name, options) => medplum.search('Patient', { identifier: name }, { ...options, post: true }),
  (medplum, name, options) =>
    medplum.executeBatch(
      { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `Patient/${name}` } }] },
      options,
    ),
  (medplum, name, options) => medplum.graphql(`{ Patient(id: "${name}") { id } }`, options),
  (medplum, name, options) => medplum.get(`fhir/R4/Patient/${name}`, options),
  pages,
];

/** Draws a way to call and the options of the call: some calls are cancelled, get little time, or retry less. */
export async function callAtRandom(
  medplum: MedplumService,
  random: Random,
  name: string,
  tally: Tally,
  given: MedplumRequestOptions,
): Promise<unknown> {
  const cancellation = random.chance(0.08) ? new AbortController() : undefined;
  const options: MedplumRequestOptions = {
    ...given,
    ...(cancellation && { signal: cancellation.signal }),
    ...(random.chance(0.05) && { timeout: 1 + random.below(40) }),
    ...(random.chance(0.1) && { retry: { maxRetries: random.below(3) } }),
  };
  // Some are cancelled before they begin, some on their way, and some too late.
  const delay = random.below(12);
  if (delay === 0) {
    cancellation?.abort();
  }
  const timer = cancellation && setTimeout(() => cancellation.abort(), delay);
  try {
    return await random.pick(KINDS)(medplum, name, options, tally, random);
  } finally {
    clearTimeout(timer);
  }
}
