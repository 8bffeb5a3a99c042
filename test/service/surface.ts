import { Readable } from 'node:stream';
import { accessEntry, bundleEntry, type MedplumRequestOptions, type MedplumService } from 'nestjs-medplum';
import { collect } from '../support/collect';

/** Reads the result of a method to its end: iterators and streams, also those in its properties. */
export async function consume(result: unknown): Promise<void> {
  const parts: unknown[] = [result, ...(typeof result === 'object' && result !== null ? Object.values(result) : [])];
  for (const part of parts) {
    if (typeof part === 'object' && part !== null && Symbol.asyncIterator in part) {
      await collect(part as AsyncIterable<unknown>);
    }
  }
}

/** Uses one method of the public surface once. */
export type SurfaceRow = (medplum: MedplumService, options: MedplumRequestOptions) => unknown;

const PATIENT = { resourceType: 'Patient', id: 'p1' } as const;
const ACTIVE = [{ op: 'replace', path: '/active', value: true }] as const;

/** Members of the service that make no request themselves. */
export const WITHOUT_REQUEST = [
  'acceptDelegation',
  'actingAs',
  'asClientApplication',
  'bind',
  'breakGlass',
  'coreClientOptions',
  'currentOnBehalfOf',
  'delegate',
  'memberships.invalidate',
  'onBehalfOf',
  'quota.queued',
  'quota.running',
  'runDelegated',
];

/** Methods that manage memberships. They always run as the client itself. */
export const ADMINISTRATIVE: ReadonlySet<string> = new Set([
  'memberships.addAccess',
  'memberships.find',
  'memberships.invite',
  'memberships.mergeAccess',
  'memberships.removeAccess',
]);

/** Uses every method that makes requests. The test fails for a method without a row. */
export const SURFACE: Readonly<Record<string, SurfaceRow>> = {
  'binaries.createDocumentReference': (m, o) =>
    m.binaries.createDocumentReference(
      { resourceType: 'DocumentReference', status: 'current', title: 'A' },
      'text',
      { contentType: 'text/plain' },
      o,
    ),
  'binaries.download': (m, o) => m.binaries.download('b1', o),
  'binaries.downloadAttachment': (m, o) =>
    m.binaries.downloadAttachment('DocumentReference/d1', 'content[0].attachment', o),
  'binaries.upload': (m, o) => m.binaries.upload(Readable.from(['text']), { contentType: 'text/plain' }, o),
  'bots.create': (m, o) => m.bots.create('project-1', { name: 'Bot' }, o),
  'bots.deploy': (m, o) => m.bots.deploy('b1', 'exports.handler = () => 1;', 'index.js', o),
  'bulk.cancelJob': (m, o) => m.bulk.cancelJob('j1', o),
  'bulk.download': (m, o) => m.bulk.download('Binary/b1', o),
  'bulk.export': (m, o) => m.bulk.export({ level: 'patient' }, { ...o, interval: 1 }),
  'bulk.waitForJob': (m, o) => m.bulk.waitForJob('j1', { ...o, interval: 1 }),
  conditionalDelete: (m, o) => m.conditionalDelete('Patient', { identifier: 'a|b' }, o),
  conditionalPatch: (m, o) => m.conditionalPatch('Patient', { identifier: 'a|b' }, ACTIVE, o),
  createResource: (m, o) => m.createResource({ resourceType: 'Patient' }, o),
  createResourceIfNoneExist: (m, o) => m.createResourceIfNoneExist({ resourceType: 'Patient' }, 'name=a', o),
  delete: (m, o) => m.delete('fhir/R4/Patient/p1', o),
  deleteResource: (m, o) => m.deleteResource('Patient', 'p1', o),
  executeBatch: (m, o) =>
    m.executeBatch(
      { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'Patient/p1' } }] },
      o,
    ),
  executeBot: (m, o) => m.executeBot('b1', { a: 1 }, o),
  executeTransaction: (m, o) => m.executeTransaction([bundleEntry.read('Patient', 'p1')], o),
  fetch: (m, o) => m.fetch('fhir/R4/Patient/p1', o).then((response) => response.text()),
  get: (m, o) => m.get('fhir/R4/Patient/p1', o),
  graphql: (m, o) => m.graphql('{ Patient(id: "p1") { id } }', o),
  iterateResources: (m, o) => m.iterateResources('Patient', {}, o),
  'memberships.addAccess': (m, o) => m.memberships.addAccess('m1', accessEntry('a1', { x: 'y' }), ['a1'], o),
  'memberships.find': (m, o) => m.memberships.find({ profile: 'Practitioner/p1' }, o),
  'memberships.invite': (m, o) =>
    m.memberships.invite('project-1', { resourceType: 'Patient', firstName: 'A', lastName: 'B', externalId: 'x' }, o),
  'memberships.mergeAccess': (m, o) => m.memberships.mergeAccess('m1', [accessEntry('a1', { x: 'y' })], ['a1'], o),
  'memberships.removeAccess': (m, o) => m.memberships.removeAccess('m1', accessEntry('a1'), ['a1'], o),
  'operations.cloneProject': (m, o) => m.operations.cloneProject('p1', { name: 'Copy' }, o),
  'operations.everything': (m, o) => m.operations.everything('p1', { types: ['Observation'] }, o),
  'operations.execute': (m, o) => m.operations.execute({ operation: '$x' }, o),
  'operations.expand': (m, o) => m.operations.expand({ url: 'http://vs' }, o),
  'operations.expunge': (m, o) => m.operations.expunge('Patient', 'p1', o),
  'operations.lookup': (m, o) => m.operations.lookup({ system: 'http://cs', code: 'a' }, o),
  'operations.setAccounts': (m, o) => m.operations.setAccounts('Patient', 'p1', { accounts: [] }, o),
  'operations.translate': (m, o) => m.operations.translate({ coding: { code: 'a' } }, o),
  'operations.validateCode': (m, o) => m.operations.validateCode({ url: 'http://vs', code: 'a' }, o),
  'operations.validateResource': (m, o) => m.operations.validateResource(PATIENT, o),
  'operations.validateSystemCode': (m, o) => m.operations.validateSystemCode({ url: 'http://cs', code: 'a' }, o),
  patch: (m, o) => m.patch('fhir/R4/Patient/p1', ACTIVE, o),
  patchResource: (m, o) => m.patchResource('Patient', 'p1', ACTIVE, o),
  post: (m, o) => m.post('fhir/R4/Patient', PATIENT, o),
  put: (m, o) => m.put('fhir/R4/Patient/p1', PATIENT, o),
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
