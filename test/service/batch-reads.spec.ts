import { type MedplumService } from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type Member, type MedplumServer, startMedplumServer } from '../support/medplum-server';

let server: MedplumServer;
let ann: Member;
let ben: Member;
let seen: string;
let hidden: string;
let deleted: string;

beforeAll(async () => {
  server = await startMedplumServer({ batchReads: true });
  const policy = [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }];
  [ann, ben] = [await server.createMember('Ann', policy), await server.createMember('Ben', [])];
  const create = (gender: 'male' | 'female') =>
    server.medplum.createResource({ resourceType: 'Patient', gender }, { onBehalfOf: '' });
  [seen, hidden, deleted] = [(await create('female')).id, (await create('male')).id, (await create('female')).id];
  await server.medplum.deleteResource('Patient', deleted, { onBehalfOf: '' });
});
afterAll(() => server?.close());

const facts = async (work: Promise<unknown>) => {
  const { name, message, status, effect, retryable, outcome } = await failureOf(work);
  return { name, message, status, effect, retryable, issue: outcome?.issue };
};

/** What a user finds, each read as it is or in a batch. */
async function found(medplum: MedplumService, batchReads: boolean): Promise<unknown[]> {
  const options = { batchReads };
  const before = server.events.length;
  const results = await Promise.all([
    facts(medplum.readResource('Patient', hidden, options)),
    medplum.readResource('Patient', seen, options),
    facts(medplum.readResource('Patient', deleted, options)),
    facts(medplum.readResource('Patient', '00000000-0000-4000-8000-000000000000', options)),
    facts(medplum.readResource('Organization', seen, options)),
    facts(medplum.search('Organization', 'name=a', options)),
    facts(medplum.search('Patient', 'frobnicate=a', options)),
    medplum.search('Patient', { _id: [seen, hidden].join(','), _fields: 'gender', _total: 'accurate' }, options),
    medplum.search('Patient', { _count: 1, _sort: '-_lastUpdated' }, options),
    medplum.searchOne('Patient', { _id: hidden }, options),
  ]);
  const batches = new Set(server.events.slice(before).map(({ attempts }) => attempts[0]?.batchId));
  expect(batches.size).toBe(1);
  expect([...batches][0] !== undefined).toBe(batchReads);
  return results;
}

const readsOf = (who: Member) =>
  [1, 2].map(() => server.medplum.readResource('Patient', seen, { onBehalfOf: who.membership }));
const searchOf = (who: Member) =>
  server.medplum.searchResources('Patient', { _id: seen }, { onBehalfOf: who.membership });

describe('batchReads, on a Medplum server', () => {
  it('shows a user exactly what reads one by one show', async () => {
    const medplum = server.medplum.actingAs(ann.membership);
    const batched = await found(medplum, true);
    expect(batched).toEqual(await found(medplum, false));
    expect(batched[0]).toMatchObject({ name: 'MedplumNotFoundError', status: 404 });
    expect(batched[1]).toMatchObject({ id: seen, meta: { project: server.projectId } });
    expect(batched[7]).toMatchObject({ total: 1, entry: [{ resource: { id: seen } }] });
  });

  it('shows each of two users who read at the same time only what is theirs', async () => {
    const results = await Promise.allSettled([...readsOf(ann), ...readsOf(ben), searchOf(ann), searchOf(ben)]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
      'rejected',
    ]);
  });

  it('refuses an identity that does not exist as reads one by one do', async () => {
    const medplum = server.medplum.actingAs('ProjectMembership/00000000-0000-4000-8000-000000000000');
    const reads = (batchReads: boolean) =>
      Promise.all([seen, hidden].map((id) => facts(medplum.readResource('Patient', id, { batchReads }))));
    const batched = await reads(true);
    expect(batched).toEqual(await reads(false));
    expect(batched[0]).toMatchObject({ name: 'OnBehalfOfRejectedError' });
  });
});
