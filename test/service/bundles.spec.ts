import { randomUUID } from 'node:crypto';
import {
  bundleEntry,
  entryResults,
  MedplumBadRequestError,
  MedplumGraphqlError,
  MedplumProtocolError,
  type MedplumService,
  MedplumTransactionError,
} from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type Member, type MedplumServer, startMedplumServer } from '../support/medplum-server';

let server: MedplumServer;
let medplum: MedplumService;
let ann: Member;

beforeAll(async () => {
  server = await startMedplumServer();
  ann = await server.createMember('Ann', [
    { resourceType: 'Patient', criteria: 'Patient?gender=female' },
    { resourceType: 'Observation' },
    { resourceType: 'Binary' },
  ]);
  medplum = server.medplum.actingAs(ann.membership);
});
afterAll(() => server?.close());

const she = { resourceType: 'Patient', gender: 'female' } as const;
const he = { resourceType: 'Patient', gender: 'male' } as const;

describe('A batch', () => {
  it('has a result for each of its entries', async () => {
    const { id } = await medplum.createResource({ ...she, active: false });
    const stale = await medplum.createResource(she);
    await medplum.updateResource({ ...stale, active: true });
    const unwanted = await medplum.createResource(she);
    const response = await medplum.executeBatch({
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        bundleEntry.create(she),
        bundleEntry.create(he),
        bundleEntry.patch('Patient', id, [{ op: 'replace', path: '/active', value: true }]),
        bundleEntry.read('Patient', id),
        bundleEntry.search('Patient', { _id: id }),
        bundleEntry.update(stale),
        bundleEntry.delete('Patient', unwanted.id),
      ],
    });
    const results = entryResults(response);
    expect(results.map(({ status }) => status)).toEqual([201, 403, 200, 200, 200, 412, 200]);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true, true, true, false, true]);
    expect(results[0]?.location).toBe(`Patient/${results[0]?.resource?.id}`);
    expect(results[1]?.outcome?.issue[0]?.code).toBe('forbidden');
    expect(results[3]?.resource).toMatchObject({ id, active: true });
    expect(results[4]?.resource).toMatchObject({ resourceType: 'Bundle', type: 'searchset' });
  });

  it('can refer to resources that it creates, and does not create them twice', async () => {
    const fullUrl = `urn:uuid:${randomUUID()}`;
    const identifier = { system: 'urn:test', value: randomUUID() };
    const patient = { ...she, identifier: [identifier] };
    const ifNoneExist = { identifier: `urn:test|${identifier.value}` };
    const observation = {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'x' },
      subject: { reference: fullUrl },
    } as const;
    const send = () =>
      medplum.executeTransaction([
        bundleEntry.create(patient, { fullUrl, ifNoneExist }),
        bundleEntry.create(observation),
      ]);
    const [first, second] = [entryResults(await send()), entryResults(await send())];
    expect(first.map(({ status }) => status)).toEqual([201, 201]);
    expect(second.map(({ status }) => status)).toEqual([200, 201]);
    expect(first[1]?.resource).toMatchObject({ subject: { reference: first[0]?.location } });
  });
});

describe('A transaction', () => {
  it('is an error if the server carries it out only in part', async () => {
    const before = server.events.length;
    const failure: unknown = await medplum
      .executeTransaction([bundleEntry.create(she), bundleEntry.create(he)])
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MedplumTransactionError);
    const { response, effect, retryable } = failure as MedplumTransactionError;
    expect({ effect, retryable }).toEqual({ effect: 'happened', retryable: false });
    expect(entryResults(response).map(({ status }) => status)).toEqual([201, 403]);
    expect(server.events.slice(before)).toMatchObject([
      { action: 'transaction', outcome: 'error', effect: 'happened' },
    ]);
  });

  it('has no effect if only reads succeeded', async () => {
    const { id } = await medplum.createResource(she);
    const failing = medplum.executeTransaction([bundleEntry.read('Patient', id), bundleEntry.create(he)]);
    await expect(failing).rejects.toMatchObject({ code: 'MEDPLUM_TRANSACTION', effect: 'none' });
  });

  it.each([undefined, null, {}, [], 'Bundle'])('may not be %j', async (entries) => {
    const failing = medplum.executeTransaction(entries as never);
    await expect(failing).rejects.toThrow(MedplumBadRequestError);
  });
});

describe('Prefer: respond-async', () => {
  const headers = { prefer: 'respond-async' };

  it('is refused on a bundle with an identity, because the server would run the bundle as the client', async () => {
    const bundle = { resourceType: 'Bundle', type: 'batch', entry: [bundleEntry.create(she)] } as const;
    for (const sending of [
      medplum.executeBatch({ ...bundle, entry: [...bundle.entry] }, { headers }),
      medplum.executeTransaction(bundle.entry, { headers: { Prefer: 'return=minimal, RESPOND-ASYNC' } }),
    ]) {
      await expect(sending).rejects.toThrow(/rights of the client/);
    }
    expect(server.events.at(-1)).toMatchObject({ outcome: 'refused', attempts: [] });
  });
});

describe('graphql()', () => {
  const QUERY = 'query Names($id: ID!) { Patient(id: $id) { gender } }';

  it('returns the data', async () => {
    const { id } = await medplum.createResource(she);
    const data = await medplum.graphql<{ Patient: { gender: string } }>(QUERY, {
      variables: { id },
      operationName: 'Names',
    });
    expect(data.Patient.gender).toBe('female');
    expect(server.events.at(-1)).toMatchObject({ action: 'operation', operation: '$graphql', effect: 'none' });
  }, 60_000); // The emulator builds its GraphQL schema first.

  it('throws an error with the fields that failed and the data that could be read', async () => {
    const mine = await medplum.createResource(she);
    const other = await server.medplum.createResource(he, { onBehalfOf: '' });
    const failure: unknown = await medplum
      .graphql(`{ mine: Patient(id: "${mine.id}") { id } other: Patient(id: "${other.id}") { id } }`)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MedplumGraphqlError);
    const { graphqlErrors, partialData } = failure as MedplumGraphqlError;
    expect(graphqlErrors).toMatchObject([{ path: ['other'] }]);
    expect(partialData).toEqual({ mine: { id: mine.id }, other: null });
    expect(JSON.stringify(failure)).not.toContain(mine.id);
    expect(server.events.at(-1)).toMatchObject({ outcome: 'error', error: { code: 'MEDPLUM_GRAPHQL' } });
  });

  it.each(['', '  ', undefined, 5, {}])('refuses %j, which is no document', async (document) => {
    await expect(medplum.graphql(document as string)).rejects.toThrow(MedplumBadRequestError);
  });
});

/** The state of the limiter, as Medplum writes it into texts. */
const state = (ms: number): string => JSON.stringify({ _remainingPoints: 0, _msBeforeNext: ms, limit: 300 });

const tooMany = (field: string, ms: number) => ({ message: `Too Many Requests (${state(ms)})`, path: [field] });
const throttled = (ms: number) => ({
  response: {
    status: '429',
    outcome: { resourceType: 'OperationOutcome', issue: [{ code: 'throttled', diagnostics: state(ms) }] },
  },
});

describe('A quota that is used up,', () => {
  let app: MedplumApp;
  beforeAll(async () => (app = await startMedplumApp()));
  afterAll(() => app.close());

  const written = { response: { status: '201', location: 'Patient/1' } };
  const answer = (body: object): void => {
    app.wire.handler = () => ({ body });
  };

  it.each([
    ['a query', 'query { a { id } }', { a: null }, 'none'],
    ['a query that read a part', 'query { a { id } b }', { a: null, b: 'x' }, 'none'],
    ['a mutation without an effect', 'mutation { a { id } b { id } }', { a: null, b: null }, 'none'],
    ['a mutation that may have written', 'mutation { a { id } b { id } }', { a: null, b: { id: '1' } }, 'unknown'],
  ])('is a MedplumRateLimitError with its wait for %s', async (_what, document, data, effect) => {
    answer({ errors: [tooMany('a', 1_000), tooMany('b', 57_499)], data });
    await expect(app.medplum.graphql(document, { onBehalfOf: 'm-1' })).rejects.toMatchObject({
      code: 'MEDPLUM_RATE_LIMIT',
      retryAfter: 57_499,
      effect,
      retryable: effect === 'none',
    });
    expect(app.events.at(-1)).toMatchObject({ outcome: 'error', effect });
  });

  it('leaves the effect of a mutation open if another field failed for another reason', async () => {
    answer({ errors: [tooMany('a', 1_000), { message: 'Forbidden', path: ['b'] }], data: { a: null, b: null } });
    await expect(app.medplum.graphql('mutation { a b }', { onBehalfOf: 'm-1' })).rejects.toMatchObject({
      code: 'MEDPLUM_RATE_LIMIT',
      effect: 'unknown',
    });
  });

  const entries = [bundleEntry.create({ resourceType: 'Patient' }), bundleEntry.read('Patient', '1')];
  const run = () => app.medplum.executeTransaction(entries, { onBehalfOf: 'm-1' });

  it('is a MedplumRateLimitError with its wait for a transaction that wrote nothing', async () => {
    answer({ resourceType: 'Bundle', type: 'transaction-response', entry: [throttled(57_236), throttled(1)] });
    await expect(run()).rejects.toMatchObject({
      code: 'MEDPLUM_RATE_LIMIT',
      retryAfter: 57_236,
      effect: 'none',
      retryable: true,
    });
  });

  it('is a MedplumTransactionError for one that wrote, because it must not be sent again as it is', async () => {
    answer({ resourceType: 'Bundle', type: 'transaction-response', entry: [written, throttled(1)] });
    await expect(run()).rejects.toMatchObject({ code: 'MEDPLUM_TRANSACTION', effect: 'happened', retryable: false });
  });
});

describe('Prefer: return=minimal', () => {
  let app: MedplumApp;
  beforeAll(async () => (app = await startMedplumApp()));
  afterAll(() => app.close());

  it.each<readonly [string, (medplum: MedplumService, options: object) => Promise<unknown>]>([
    ['everything()', (m, o) => m.operations.everything('1', {}, o)],
    ['expand()', (m, o) => m.operations.expand({ url: 'http://vs' }, o)],
    ['validateResource()', (m, o) => m.operations.validateResource({ resourceType: 'Patient' }, o)],
    ['setAccounts()', (m, o) => m.operations.setAccounts('Patient', '1', { accounts: [] }, o)],
    ['cloneProject()', (m, o) => m.operations.cloneProject('1', {}, o)],
    ['deploy()', (m, o) => m.bots.deploy('1', 'code', 'index.js', o)],
    ['graphql()', (m, o) => m.graphql('mutation { a }', o)],
    ['memberships.find()', (m, o) => m.memberships.find({ externalId: 'a' }, o)],
    ['waitForJob()', (m, o) => m.bulk.waitForJob('1', o)],
  ])('is refused by %s, which promises a result', async (_name, call) => {
    const options = { headers: { prefer: 'return=minimal' } };
    await expect(app.medplum.onBehalfOf('m-1', () => call(app.medplum, options))).rejects.toThrow(/return=minimal/);
    expect(app.wire.requests).toEqual([]);
  });

  it('that a server or a proxy applies on its own makes an error, not a result that is undefined', async () => {
    app.wire.handler = () => ({ status: 200 });
    const { operations } = app.medplum.actingAs('m-1');
    await expect(operations.expand({ url: 'http://vs' })).rejects.toThrow(MedplumProtocolError);
    await expect(operations.setAccounts('Patient', '1', { accounts: [] })).rejects.toMatchObject({
      code: 'MEDPLUM_PROTOCOL',
      effect: 'unknown',
    });
  });
});
