import { MedplumEmulator } from 'nestjs-medplum/testing';
import { call, type CallResponse } from './call';

const outcomeText = ({ json }: CallResponse): unknown =>
  (json.issue as { details: { text: string } }[] | undefined)?.[0]?.details.text;

describe('operations of the emulator', () => {
  let emulator: MedplumEmulator;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start({ features: ['bots'] });
  });

  afterAll(() => emulator.close());

  describe('bots', () => {
    let bot: string;

    beforeAll(async () => {
      const created = await call(emulator, 'POST', 'admin/projects/x/bot', { body: { name: 'Echo' } });
      bot = created.id;
    });

    const deploy = (code: string): Promise<CallResponse> =>
      call(emulator, 'POST', `fhir/R4/Bot/${bot}/$deploy`, { body: { code } });
    const execute = (body: unknown, headers = {}): Promise<CallResponse> =>
      call(emulator, 'POST', `fhir/R4/Bot/${bot}/$execute`, { body, headers });

    it('run with their own membership, and see who called', async () => {
      await deploy(`exports.handler = async (medplum, event) => {
        const patient = await medplum.createResource({ resourceType: 'Patient', name: [{ family: event.input.family }] });
        return { id: patient.id, requester: event.requester.reference };
      };`);
      const { json } = await execute({ family: 'Botted' });
      expect(json.requester).toBe(emulator.seeded().vars.default);
      const patient = await call(emulator, 'GET', `fhir/R4/Patient/${String(json.id)}`, { extended: true });
      expect(patient.json).toMatchObject({ meta: { author: { reference: `Bot/${bot}` } } });
      expect(patient.json.meta).not.toHaveProperty('onBehalfOf');
    });

    it('answer with 400 and no tracing ids when they throw', async () => {
      await deploy(`exports.handler = async () => { throw new Error('no luck'); };`);
      const answer = await execute({});
      expect([answer.status, outcomeText(answer)]).toEqual([400, 'no luck']);
      expect(answer.json).not.toHaveProperty('extension');
    });

    it('answer a text as it is, and nothing with the outcome "ok"', async () => {
      await deploy(`exports.handler = async (medplum, event) => event.input.text;`);
      expect((await execute({ text: 'plain' })).text).toBe('plain');
      expect((await execute({})).json).toMatchObject({ resourceType: 'OperationOutcome', id: 'ok' });
    });

    it('are stopped when they do not end, and cannot end the emulator', async () => {
      await deploy(`exports.handler = async () => { for (;;) {} };`);
      const { json } = await call(emulator, 'GET', `fhir/R4/Bot/${bot}`);
      await call(emulator, 'PUT', `fhir/R4/Bot/${bot}`, { body: { ...json, timeout: 1 } });
      expect(outcomeText(await execute({}))).toBe('Script execution timed out after 1000ms');
      await deploy(`exports.handler = async () => process.exit(3);`);
      expect((await execute({})).status).toBe(400);
      expect((await call(emulator, 'GET', `fhir/R4/Bot/${bot}`)).status).toBe(200);
    });

    it('need the feature of the project', async () => {
      const { reference } = await emulator.createProject({ name: 'without bots' });
      const client = await emulator.createClient({ name: 'plain', project: reference });
      const credentials = `${client.id}:${client.secret}`;
      const { id } = await call(emulator, 'POST', 'admin/projects/x/bot', { credentials, body: { name: 'Idle' } });
      const options = { credentials, body: { code: 'exports.handler = async () => 1;' } };
      expect(outcomeText(await call(emulator, 'POST', `fhir/R4/Bot/${id}/$deploy`, options))).toBe('Bots not enabled');
      expect(outcomeText(await call(emulator, 'POST', `fhir/R4/Bot/${id}/$execute`, options))).toBe('Bots not enabled');
    });
  });

  describe('exports and jobs', () => {
    it('answer 202 without a body while they run, and 404 after a cancellation', async () => {
      const body = { resourceType: 'AsyncJob', status: 'accepted', requestTime: '2024-01-01T00:00:00Z', request: 'x' };
      const { id } = await call(emulator, 'POST', 'fhir/R4/AsyncJob', { body });
      const running = await call(emulator, 'GET', `fhir/R4/bulkdata/export/${id}`);
      expect([running.status, running.text, running.headers.get('content-type')]).toEqual([202, '', null]);
      expect((await call(emulator, 'DELETE', `fhir/R4/job/${id}`)).status).toBe(400);
      expect((await call(emulator, 'DELETE', `fhir/R4/job/${id}/status`)).json).toMatchObject({ id: 'accepted' });
      expect((await call(emulator, 'GET', `fhir/R4/bulkdata/export/${id}`)).status).toBe(404);
    });
  });

  describe('terminology', () => {
    it('knows the definitions, and the code systems of the project first', async () => {
      const lookup = 'fhir/R4/CodeSystem/$lookup?system=http://terminology.hl7.org/CodeSystem/condition-clinical';
      const { json } = await call(emulator, 'GET', `${lookup}&code=recurrence`);
      expect(JSON.stringify(json)).toContain(
        '{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"active"}',
      );
      const url = 'http://x.example/own';
      const body = {
        resourceType: 'CodeSystem',
        url,
        status: 'active',
        content: 'complete',
        concept: [{ code: 'own' }],
      };
      await call(emulator, 'POST', 'fhir/R4/CodeSystem', { body });
      const validate = await call(emulator, 'GET', `fhir/R4/CodeSystem/$validate-code?url=${url}&code=own`);
      expect(validate.json.parameter).toEqual([{ name: 'result', valueBoolean: true }]);
    });

    it('expands value sets that include each other without an end', async () => {
      for (const [own, other] of [
        ['a', 'b'],
        ['b', 'a'],
      ]) {
        const compose = { include: [{ valueSet: [`http://x.example/${other}`] }] };
        await call(emulator, 'POST', 'fhir/R4/ValueSet', {
          body: { resourceType: 'ValueSet', url: `http://x.example/${own}`, status: 'active', compose },
        });
      }
      const { status } = await call(emulator, 'GET', 'fhir/R4/ValueSet/$expand?url=http://x.example/a');
      expect(status).toBe(400);
    });
  });

  it('deletes a resource by its id in upper case', async () => {
    const { id } = await call(emulator, 'POST', 'fhir/R4/Patient', { body: { resourceType: 'Patient' } });
    expect((await call(emulator, 'DELETE', `fhir/R4/Patient/${id.toUpperCase()}`)).status).toBe(200);
    expect((await call(emulator, 'GET', `fhir/R4/Patient/${id}`)).status).toBe(410);
  });

  it('removes all versions with $expunge', async () => {
    const { id } = await call(emulator, 'POST', 'fhir/R4/Patient', { body: { resourceType: 'Patient' } });
    expect((await call(emulator, 'POST', `fhir/R4/Patient/${id}/$expunge`, { body: {} })).status).toBe(200);
    expect((await call(emulator, 'GET', `fhir/R4/Patient/${id}/_history`)).status).toBe(404);
  });

  it('answers a body that is not encoded as it says with 500', async () => {
    const headers = { 'content-encoding': 'gzip' };
    expect((await call(emulator, 'POST', 'fhir/R4/Patient', { body: 'x', headers })).status).toBe(500);
  });

  it('refuses a repeated parameter in a form, as the recorded server does', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await call(emulator, 'POST', 'fhir/R4/Patient/_search', { body: 'name=a&name=b', headers });
    expect(outcomeText(answer)).toBe('Search filter value must be a string');
  });
});
