import type { MedplumRequestOptions, MedplumService } from 'nestjs-medplum';

/** One method of the public surface, used once. */
export type SurfaceRow = (medplum: MedplumService, options: MedplumRequestOptions) => unknown;

const PATIENT = { resourceType: 'Patient', id: 'p1' } as const;
const ACTIVE = [{ op: 'replace', path: '/active', value: true }] as const;

/** Members of the service that make no request: scopes, and what hands out parts. */
export const WITHOUT_REQUEST = ['actingAs', 'asClientApplication', 'bind', 'currentOnBehalfOf', 'onBehalfOf'];

/** Methods that manage memberships: always as the client itself. */
export const ADMINISTRATIVE: ReadonlySet<string> = new Set([]);

/** A use of every method that makes requests. A method without a row fails the test. */
export const SURFACE: Readonly<Record<string, SurfaceRow>> = {
  conditionalDelete: (m, o) => m.conditionalDelete('Patient', { identifier: 'a|b' }, o),
  conditionalPatch: (m, o) => m.conditionalPatch('Patient', { identifier: 'a|b' }, ACTIVE, o),
  createResource: (m, o) => m.createResource({ resourceType: 'Patient' }, o),
  createResourceIfNoneExist: (m, o) => m.createResourceIfNoneExist({ resourceType: 'Patient' }, 'name=a', o),
  deleteResource: (m, o) => m.deleteResource('Patient', 'p1', o),
  executeBatch: (m, o) =>
    m.executeBatch(
      { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'Patient/p1' } }] },
      o,
    ),
  iterateResources: (m, o) => m.iterateResources('Patient', {}, o),
  patchResource: (m, o) => m.patchResource('Patient', 'p1', ACTIVE, o),
  readHistory: (m, o) => m.readHistory('Patient', 'p1', o),
  readReference: (m, o) => m.readReference('Patient/p1', o),
  readResource: (m, o) => m.readResource('Patient', 'p1', o),
  readVersion: (m, o) => m.readVersion('Patient', 'p1', 'v1', o),
  search: (m, o) => m.search('Patient', {}, o),
  searchOne: (m, o) => m.searchOne('Patient', {}, o),
  searchResourcePages: (m, o) => m.searchResourcePages('Patient', {}, o),
  searchResources: (m, o) => m.searchResources('Patient', {}, o),
  searchTypes: (m, o) => m.searchTypes(['Patient', 'Observation'], {}, o),
  searchWithIncludes: (m, o) => m.searchWithIncludes('Patient', { _include: 'Patient:organization' }, o),
  updateResource: (m, o) => m.updateResource(PATIENT, o),
  upsertResource: (m, o) => m.upsertResource({ resourceType: 'Patient' }, { identifier: 'a|b' }, o),
};
