import type { Meta } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Caller } from './caller';
import type { FhirDefinitions } from './definitions';
import type { Reference, Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { withoutFields } from './resource-fields';
import { searchValues } from './search-values';
import { currentVersion, type Store } from './store';

/** What the `meta` that the server writes depends on. */
export interface StampContext {
  readonly definitions: FhirDefinitions;
  readonly store: Store;
  readonly existing: StoredResource | undefined;
  /** `undefined` if the server itself writes. */
  readonly caller: Caller | undefined;
  readonly author: Reference | undefined;
  readonly extended: boolean;
  readonly project: string | undefined;
  readonly versionId: string;
  readonly lastUpdated: string;
}

/** Prepares a resource for storing. The server's part of `meta` replaces whatever the writer put there. */
export function draftResource(input: Resource & { id: string }, context: StampContext): StoredResource {
  const { caller, project } = context;
  const {
    onBehalfOf: _onBehalfOf,
    account: _account,
    accounts: _accounts,
    compartment: _compartment,
    project: _project,
    ...own
  } = input.meta ?? {};
  const meta: Meta = {
    ...own,
    versionId: context.versionId,
    lastUpdated: context.lastUpdated,
    author: caller?.author ?? context.author ?? { reference: 'system' },
    ...(caller?.onBehalfOf && { onBehalfOf: caller.onBehalfOf }),
    ...(project && { project }),
  };
  const stamped: StoredResource = { ...input, meta };
  const patients = patientsOf(stamped, context.definitions);
  const accounts = accountsOf(input, patients, context);
  const [account] = accounts;
  if (account) {
    Object.assign(meta, { account, accounts });
  }
  meta.compartment = uniqueReferences([
    ...(project ? [{ reference: `Project/${project}` }] : []),
    ...accounts.map(({ reference }) => ({ reference })),
    ...patients,
  ]);
  return stamped;
}

/** The patients to whose compartments the resource belongs. */
function patientsOf(resource: StoredResource, { patientCompartment }: FhirDefinitions): Reference[] {
  if (resource.resourceType === 'Patient') {
    return [{ reference: `Patient/${resource.id}` }];
  }
  const version = { values: new Map() };
  const found = (patientCompartment.get(resource.resourceType) ?? []).flatMap((code) => {
    const values = searchValues(version, resource, code);
    return values.kind === 'text' ? values.values.filter((reference) => /^Patient\/[^/]+$/.test(reference)) : [];
  });
  return uniqueReferences(found.map((reference) => ({ reference })));
}

/**
 * The accounts of a resource. Administrators choose them in extended mode. Otherwise a new resource gets the account of
 * the writer's policy and the accounts of its patients, and an existing one keeps its own.
 */
function accountsOf(
  input: Resource,
  patients: readonly Reference[],
  { caller, extended, existing, store }: StampContext,
): Reference[] {
  const trusted = !caller || (extended && caller.actingMembership.admin === true);
  if (input.meta && trusted) {
    return core.extractAccountReferences(input.meta) ?? [];
  }
  if (existing) {
    // Replacing the content of a Binary loses its accounts, on the real server too.
    return input.resourceType === 'Binary' ? [] : (existing.meta.accounts ?? []);
  }
  const compartment = caller?.policy.compartment;
  const inherited =
    input.resourceType === 'Patient' ? [] : patients.flatMap((patient) => accountsOfPatient(patient, store));
  return uniqueReferences([...(compartment ? [{ reference: compartment.reference }] : []), ...inherited]);
}

function accountsOfPatient({ reference }: Reference, store: Store): Reference[] {
  const row = store.get('Patient', reference?.slice('Patient/'.length) ?? '');
  return (row && currentVersion(row).resource?.meta.accounts) ?? [];
}

function uniqueReferences(references: readonly Reference[]): Reference[] {
  return [...new Map(references.map((item) => [item.reference, item])).values()];
}

/** Whether storing `after` would change nothing, because content and identity are the same. */
export function isUnchanged(before: StoredResource, after: StoredResource): boolean {
  return core.deepEquals(comparable(before), comparable(after));
}

function comparable({ meta, ...rest }: StoredResource): unknown {
  const { versionId: _versionId, lastUpdated: _lastUpdated, author: _author, ...compared } = meta;
  return { ...rest, meta: compared };
}

/** The resource as a response shows it: without hidden fields, and with the server's part of `meta` only if extended. */
export function presentResource(
  resource: StoredResource,
  extended: boolean,
  hiddenFields: readonly string[] | undefined,
): StoredResource {
  const hidden = withoutFields(resource, hiddenFields);
  if (extended) {
    return hidden;
  }
  const { author: _author, project: _project, account: _account, compartment: _compartment, ...meta } = hidden.meta;
  return { ...hidden, meta };
}

/** A copy without empty strings, lists and objects, which the server does not store. Validation has refused most of them. */
export function withoutEmptyValues<T>(value: T): T {
  return JSON.parse(core.stringify(value)) as T;
}
