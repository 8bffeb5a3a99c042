import { randomUUID } from 'node:crypto';
import {
  MedplumBadRequestError,
  MedplumNotFoundError,
  MedplumPreconditionFailedError,
  type MedplumService,
} from 'nestjs-medplum';
import { type Member, type MedplumServer, startMedplumServer } from '../support/medplum-server';

const SYSTEM = `urn:uuid:${randomUUID()}`;

let server: MedplumServer;
let medplum: MedplumService;
let ann: Member;

beforeAll(async () => {
  server = await startMedplumServer();
  ann = await server.createMember('Ann', [{ resourceType: 'Patient' }]);
  medplum = server.medplum.actingAs(ann.membership);
});
afterAll(() => server?.close());

const create = (value: string = randomUUID()) =>
  medplum.createResource({ resourceType: 'Patient', identifier: [{ system: SYSTEM, value }] });

describe('Versions of a resource', () => {
  it('can be read by version id, by reference and as a history', async () => {
    const first = await create();
    const second = await medplum.updateResource({ ...first, active: true });
    const versionId = first.meta?.versionId ?? '';
    expect(await medplum.readVersion('Patient', first.id, versionId)).not.toHaveProperty('active');
    expect(await medplum.readReference(`Patient/${first.id}`)).toMatchObject({ active: true });
    expect(await medplum.readReference({ reference: `Patient/${first.id}/_history/${versionId}` })).not.toHaveProperty(
      'active',
    );
    const history = await medplum.readHistory('Patient', first.id);
    expect(history.entry?.map(({ resource }) => resource?.meta?.versionId)).toEqual([
      second.meta?.versionId,
      versionId,
    ]);
    expect(server.events.slice(-4).map(({ action }) => action)).toEqual(['vread', 'read', 'vread', 'history']);
  });
});

describe('A conditional call', () => {
  it('updates the resource that matches, or creates one if none does', async () => {
    const value = randomUUID();
    const identifier = [{ system: SYSTEM, value }];
    const query = { identifier: `${SYSTEM}|${value}` };
    const created = await medplum.upsertResource({ resourceType: 'Patient', identifier }, query);
    const updated = await medplum.upsertResource({ resourceType: 'Patient', identifier, active: true }, query);
    expect(updated).toMatchObject({ id: created.id, active: true });
  });

  it('patches the resource that matches', async () => {
    const value = randomUUID();
    const { id } = await create(value);
    const operations = [{ op: 'add', path: '/active', value: false }] as const;
    const patched = await medplum.conditionalPatch('Patient', { identifier: `${SYSTEM}|${value}` }, operations);
    expect(patched).toMatchObject({ id, active: false });
    const none = medplum.conditionalPatch('Patient', { identifier: `${SYSTEM}|${randomUUID()}` }, operations);
    await expect(none).rejects.toThrow(MedplumNotFoundError);
  });

  it('deletes the resource that matches, but nothing if several do', async () => {
    const value = randomUUID();
    const query = { identifier: `${SYSTEM}|${value}` };
    await create(value);
    await medplum.conditionalDelete('Patient', query);
    expect(await medplum.searchOne('Patient', query)).toBeUndefined();
    await create(value);
    await create(value);
    await expect(medplum.conditionalDelete('Patient', query)).rejects.toThrow(MedplumPreconditionFailedError);
    await expect(medplum.upsertResource({ resourceType: 'Patient' }, query)).rejects.toThrow(
      MedplumPreconditionFailedError,
    );
    expect(await medplum.searchResources('Patient', query)).toHaveLength(2);
  });

  it('is refused without a condition', async () => {
    const before = server.events.length;
    for (const query of ['', {}, [], undefined as unknown as string]) {
      await expect(medplum.conditionalDelete('Patient', query)).rejects.toThrow(MedplumBadRequestError);
      await expect(medplum.conditionalPatch('Patient', query, [])).rejects.toThrow(MedplumBadRequestError);
      await expect(medplum.upsertResource({ resourceType: 'Patient' }, query)).rejects.toThrow(MedplumBadRequestError);
    }
    expect(server.events.slice(before).every(({ outcome }) => outcome === 'refused')).toBe(true);
  });
});

it('An update by an admin keeps the accounts of a resource even if its meta has none', async () => {
  const administrator = server.medplum;
  await administrator.asClientApplication(async () => {
    const organization = await administrator.createResource({ resourceType: 'Organization', name: 'General' });
    const account = { reference: `Organization/${organization.id}` };
    const { id } = await administrator.createResource({ resourceType: 'Patient', meta: { accounts: [account] } });
    await administrator.updateResource({ resourceType: 'Patient', id, meta: {}, active: true });
    const { meta } = await administrator.readResource('Patient', id);
    expect(meta?.accounts).toMatchObject([account]);
    await administrator.upsertResource({ resourceType: 'Patient', meta: {}, active: false }, { _id: id });
    expect((await administrator.readResource('Patient', id)).meta?.accounts).toMatchObject([account]);
  });
});
