import type { FhirRequest, FhirResponse } from '@medplum/fhir-router';
import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { StoredResource } from './emulator.types';
import { isRecord } from './is-record';
import { core } from './medplum-peers';
import { numberOf, operationInput, textOf } from './operation-input';
import { fail } from './outcome-error';
import { emulated, type EmulatorRepository } from './repository';

/** Types outside of the compartment that a response adds, because resources in it refer to them. */
const REFERRED = /^(Organization|Location|Practitioner|PractitionerRole|Medication|Device)\//;

/** `Patient/<id>/$everything`: what belongs to the patient, and what that refers to. */
export async function everything(request: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const source = emulated(repository);
  const id = request.params.id ?? '';
  await source.readResource('Patient', id);
  const { _type, _since, _count, _offset } = operationInput(request);
  if (typeof _type === 'string' && request.method === 'GET' && source.serverVersion === '5.0') {
    // The recorded server has a bug here: it fails on a `_type` that occurs only once in the query.
    fail(core.badRequest('types.push is not a function'));
  }
  const asked =
    _type === undefined ? source.patientTypes : [_type].flat().flatMap((list) => textOf(list)?.split(',') ?? []);
  const since = textOf(_since);
  const offset = numberOf(_offset);
  const bundle: Bundle = await source.search({
    resourceType: 'Patient',
    types: [...asked, 'Patient'].toSorted() as StoredResource['resourceType'][],
    filters: [
      ...(since ? [{ code: '_lastUpdated', operator: 'ge' as const, value: since }] : []),
      { code: '_compartment', operator: 'eq', value: `Patient/${id}` },
    ],
    count: numberOf(_count) ?? 1000,
    ...(offset !== undefined && { offset }),
    sortRules: [{ code: '_id' }],
  });
  if (bundle.entry) {
    bundle.entry = await withReferred(source, bundle.entry);
  }
  return [core.allOk, bundle];
}

/** Adds what the entries refer to, what that refers to, and so on. Each resource stays only once. */
async function withReferred(source: EmulatorRepository, entries: readonly BundleEntry[]): Promise<BundleEntry[]> {
  const all = new Map<string, BundleEntry>();
  const asked = new Set<string>();
  let page: readonly BundleEntry[] = entries;
  while (page.length > 0) {
    const references = new Set<string>();
    for (const entry of page) {
      const key = core.getReferenceString(entry.resource as StoredResource);
      asked.add(key);
      all.set(key, all.get(key) ?? entry);
      collectReferences(entry.resource, references);
    }
    const wanted = [...references].filter((reference) => REFERRED.test(reference) && !asked.has(reference));
    const found = await source.readable(wanted.map((reference) => ({ reference })));
    wanted.forEach((reference) => asked.add(reference));
    page = found.map((resource) => ({ resource, search: { mode: 'include' as const } }));
  }
  return [...all.values()];
}

function collectReferences(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) {
    value.forEach((element) => collectReferences(element, found));
  } else if (isRecord(value)) {
    if (typeof value.reference === 'string') {
      found.add(value.reference);
    } else {
      Object.values(value).forEach((inner) => collectReferences(inner, found));
    }
  }
}
