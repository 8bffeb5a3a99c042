import { MedplumBadRequestError, MedplumProtocolError, type MedplumService } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type Member, type MedplumServer, startMedplumServer } from '../support/medplum-server';

describe('An operation', () => {
  let app: MedplumApp;
  let medplum: MedplumService;

  beforeAll(async () => {
    app = await startMedplumApp();
    medplum = app.medplum.actingAs('m-1');
  });
  beforeEach(() => {
    app.wire.requests.length = 0;
    app.wire.handler = ({ path }) => ({
      body: path.endsWith('/$clone') ? { resourceType: 'Project', id: 'p2' } : { resourceType: 'Parameters' },
    });
  });
  afterAll(() => app.close());

  const sent = () => {
    const [{ method, path, body, headers } = { method: '', path: '', body: '', headers: {} }] = app.wire.requests;
    return { request: `${method} ${path}`, body: body === '' ? '' : (JSON.parse(body) as object), headers };
  };

  it.each<readonly [string, (m: MedplumService) => Promise<unknown>, string, object | string]>([
    [
      'expand',
      (m) =>
        m.operations.expand({ url: 'http://vs|1', filter: 'a', offset: 0, activeOnly: false, property: ['x', 'y'] }),
      'POST /fhir/R4/ValueSet/$expand',
      {
        resourceType: 'Parameters',
        parameter: [
          { name: 'url', valueUri: 'http://vs|1' },
          { name: 'filter', valueString: 'a' },
          { name: 'offset', valueInteger: 0 },
          { name: 'activeOnly', valueBoolean: false },
          { name: 'property', valueCode: 'x' },
          { name: 'property', valueCode: 'y' },
        ],
      },
    ],
    [
      'lookup',
      (m) => m.operations.lookup({ code: 'a', system: 'http://cs', date: '2024-01-01' }),
      'POST /fhir/R4/CodeSystem/$lookup',
      {
        resourceType: 'Parameters',
        parameter: [
          { name: 'code', valueCode: 'a' },
          { name: 'system', valueUri: 'http://cs' },
          { name: 'date', valueDateTime: '2024-01-01' },
        ],
      },
    ],
    [
      'translate',
      (m) => m.operations.translate({ url: 'http://cm', coding: { system: 's', code: 'a' }, reverse: true }),
      'POST /fhir/R4/ConceptMap/$translate',
      {
        resourceType: 'Parameters',
        parameter: [
          { name: 'url', valueUri: 'http://cm' },
          { name: 'coding', valueCoding: { system: 's', code: 'a' } },
          { name: 'reverse', valueBoolean: true },
        ],
      },
    ],
    [
      'setAccounts',
      (m) => m.operations.setAccounts('Patient', 'p', { accounts: [{ reference: 'Organization/o' }], propagate: true }),
      'POST /fhir/R4/Patient/p/$set-accounts',
      {
        resourceType: 'Parameters',
        parameter: [
          { name: 'accounts', valueReference: { reference: 'Organization/o' } },
          { name: 'propagate', valueBoolean: true },
        ],
      },
    ],
    [
      'expunge',
      (m) => m.operations.expunge('Patient', 'p'),
      'POST /fhir/R4/Patient/p/$expunge',
      { resourceType: 'Parameters' },
    ],
    [
      'expunge with everything',
      (m) => m.operations.expunge('Patient', 'p', { everything: true }),
      'POST /fhir/R4/Patient/p/$expunge?everything=true',
      { resourceType: 'Parameters' },
    ],
    [
      'everything',
      (m) => m.operations.everything('p', { count: 5, since: '2024-01-01T00:00:00Z' }),
      'GET /fhir/R4/Patient/p/$everything?_since=2024-01-01T00%3A00%3A00Z&_count=5',
      '',
    ],
    [
      'an operation of the server, with a plain object',
      (m) =>
        m.operations.execute({
          operation: 'my-op',
          input: {
            a: 1,
            b: 1.5,
            c: 'x',
            d: [true, false],
            e: undefined,
            f: { reference: 'A/1' },
            g: { valueUri: 'u' },
          },
        }),
      'POST /fhir/R4/$my-op',
      {
        resourceType: 'Parameters',
        parameter: [
          { name: 'a', valueInteger: 1 },
          { name: 'b', valueDecimal: 1.5 },
          { name: 'c', valueString: 'x' },
          { name: 'd', valueBoolean: true },
          { name: 'd', valueBoolean: false },
          { name: 'f', valueReference: { reference: 'A/1' } },
          { name: 'g', valueUri: 'u' },
        ],
      },
    ],
    [
      'the deployment of a bot',
      (m) => m.bots.deploy('b', 'code', 'index.cjs'),
      'POST /fhir/R4/Bot/b/$deploy',
      { code: 'code', filename: 'index.cjs' },
    ],
    [
      'the copy of a project',
      (m) => m.operations.cloneProject('p', { name: 'Copy', resourceTypes: ['Bot'], excludeIds: ['1'] }),
      'POST /fhir/R4/Project/p/$clone',
      { name: 'Copy', resourceTypes: ['Bot'], excludeIds: ['1'] },
    ],
    [
      'a bot by identifier',
      (m) => m.executeBot({ system: 'http://b', value: 'a,b' }, { x: 1 }),
      'POST /fhir/R4/Bot/$execute?identifier=http%3A%2F%2Fb%7Ca%5C%2Cb',
      { x: 1 },
    ],
  ])('is sent as FHIR defines it: %s', async (_name, call, request, body) => {
    await call(medplum);
    expect(sent()).toMatchObject({ request, body });
  });

  it('may run a bot, which takes text or bytes and returns any JSON, text or nothing', async () => {
    const hl7 = 'MSH|^~\\&|A\rPID|1';
    app.wire.handler = (request) => ({ headers: { 'content-type': 'x-application/hl7-v2+er7' }, body: request.body });
    expect(await medplum.executeBot('b', hl7, { contentType: 'x-application/hl7-v2+er7' })).toBe(hl7);
    expect(app.wire.requests[0]?.headers['content-type']).toBe('x-application/hl7-v2+er7');
    expect(await medplum.executeBot('b', Buffer.from('bytes'))).toBe('bytes');
    for (const value of [[1, 2], 'text', 5, null, true]) {
      app.wire.handler = () => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
      expect(await medplum.executeBot('b', {})).toEqual(value);
    }
    // A string is not quoted, although the server calls it JSON.
    for (const text of ['hello world', '{"a":', ' ']) {
      app.wire.handler = () => ({ headers: { 'content-type': 'application/json; charset=utf-8' }, body: text });
      expect(await medplum.executeBot('b', {})).toBe(text);
      expect(await medplum.post('fhir/R4/Bot/b/$execute', {})).toBe(text);
    }
    await expect(medplum.operations.execute({ operation: 'my-op' })).rejects.toThrow(MedplumProtocolError);
    app.wire.handler = () => ({ status: 204 });
    expect(await medplum.executeBot('b')).toBeUndefined();
  });

  it('is not retried after an attempt that may have run a bot, but is retried if it only reads', async () => {
    app.wire.handler = () =>
      app.wire.requests.length === 1 ? { destroy: true } : { body: { resourceType: 'Parameters' } };
    await expect(medplum.executeBot('b', {})).rejects.toMatchObject({ effect: 'unknown' });
    expect(app.wire.requests).toHaveLength(1);
    app.wire.requests.length = 0;
    await medplum.operations.lookup({ coding: { code: 'a' } });
    expect(app.wire.identities).toEqual(['ProjectMembership/m-1', 'ProjectMembership/m-1']);
  });

  it.each<readonly [string, (m: MedplumService) => Promise<unknown>]>([
    ...['', '$', '..', 'a/b', 'a%2Fb', '$a?b', 'a b', '1a', 'a\n', 'a'.repeat(65), '$$a'].map(
      (operation) =>
        [`operation ${JSON.stringify(operation)}`, (m: MedplumService) => m.operations.execute({ operation })] as const,
    ),
    ...['', 'vs', '//host/x', 'http://a b', 'http://a\n', `http://${'a'.repeat(1001)}`].map(
      (url) =>
        [`canonical ${JSON.stringify(url).slice(0, 20)}`, (m: MedplumService) => m.operations.expand({ url })] as const,
    ),
    ['no id', (m) => m.operations.cloneProject(undefined as unknown as string)],
    ['a copy without a name', (m) => m.operations.cloneProject('p', { name: ' ' })],
    ['a copy of no types', (m) => m.operations.cloneProject('p', { resourceTypes: [] })],
    ['a copy of no ids', (m) => m.operations.cloneProject('p', { includeIds: [] })],
    ['an id of dots', (m) => m.operations.expunge('Patient', '..')],
    ['an undefined id', (m) => m.operations.execute({ operation: 'expunge', resourceType: 'Patient', id: undefined })],
    ['an object in a query', (m) => m.operations.execute({ operation: 'x', method: 'GET', input: { a: {} } })],
    ['a value without a type', (m) => m.operations.execute({ operation: 'x', input: { a: { b: 1 } } })],
    ['no concept', (m) => m.operations.lookup({ system: 'http://cs' })],
    ['two concepts', (m) => m.operations.lookup({ code: 'a', system: 'http://cs', coding: { code: 'a' } })],
    ['a code without system', (m) => m.operations.translate({ code: 'a' })],
    ['an unknown parameter', (m) => m.operations.expand({ url: 'http://vs', fitler: 'a' } as never)],
    [
      'an account that is not a reference',
      (m) => m.operations.setAccounts('Patient', 'p', { accounts: [{ reference: 'x' }] }),
    ],
    ['no types', (m) => m.operations.everything('p', { types: [] })],
    ['a type with a slash', (m) => m.operations.everything('p', { types: ['A/b'] })],
    ['a bot with dots', (m) => m.executeBot('..')],
    ['a bot with half an identifier', (m) => m.executeBot({ value: 'a' })],
    ['an invalid media type', (m) => m.executeBot('b', 'x', { contentType: 'text/plain\r\nx: y' })],
    ['a file name with a path', (m) => m.bots.deploy('b', 'code', '../x')],
    ['a project with a path', (m) => m.bots.create('../x', { name: 'a' })],
  ])('is refused for %s, and nothing is sent', async (_what, call) => {
    await expect(call(medplum)).rejects.toThrow(MedplumBadRequestError);
    expect(app.wire.requests).toEqual([]);
  });
});

describe('On a Medplum server', () => {
  let server: MedplumServer;
  let ann: Member;
  let medplum: MedplumService;

  beforeAll(async () => {
    server = await startMedplumServer();
    ann = await server.createMember('Ann', [{ resourceType: 'Patient' }, { resourceType: 'Observation' }]);
    medplum = server.medplum.actingAs(ann.membership);
  });
  afterAll(() => server?.close());

  it('$everything returns the resources of the requested types that the user may see', async () => {
    const { id } = await medplum.createResource({ resourceType: 'Patient' });
    const subject = { reference: `Patient/${id}` };
    await medplum.createResource({ resourceType: 'Observation', status: 'final', code: { text: 'a' }, subject });
    const all = await medplum.operations.everything(id, { types: ['Patient', 'Observation'] });
    expect(all.entry?.map(({ resource }) => resource?.resourceType).toSorted()).toEqual(['Observation', 'Patient']);
  });

  it('$validate distinguishes valid from invalid resources', async () => {
    const outcome = await medplum.operations.validateResource({ resourceType: 'Patient', active: true });
    expect(outcome.resourceType).toBe('OperationOutcome');
    const wrong = { resourceType: 'Patient', active: 'yes' } as never;
    await expect(medplum.operations.validateResource(wrong)).rejects.toMatchObject({
      status: 400,
      outcome: { issue: [{ expression: ['Patient.active'] }] },
    });
  });
});
