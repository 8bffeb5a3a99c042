import { MedplumEmulator } from 'nestjs-medplum/testing';
import { call } from './call';

describe('injected faults', () => {
  let emulator: MedplumEmulator;
  let path: string;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start();
    path = `fhir/R4/Patient/${(await emulator.createResource({ resourceType: 'Patient', gender: 'female' })).id}`;
  });

  afterEach(() => emulator.clearFaults());

  afterAll(() => emulator.close());

  it('respond with a status and headers, as often as `times` says', async () => {
    const fault = emulator.injectFault({ status: 503, headers: { 'retry-after': '1' }, times: 2 });
    const first = await call(emulator, 'GET', path);
    expect([first.status, first.headers.get('retry-after')]).toEqual([503, '1']);
    expect((await call(emulator, 'GET', path)).status).toBe(503);
    expect((await call(emulator, 'GET', path)).status).toBe(200);
    expect(fault.met).toBe(2);
  });

  it('hit only requests whose method, path and identity match', async () => {
    emulator.injectFault({ method: ['POST', 'put'], status: 500, times: Infinity });
    emulator.injectFault({ path: /\/Observation$/, status: 501, times: Infinity });
    emulator.injectFault({ path: '/fhir/R4/Patient', onBehalfOf: 'garbage', status: 502, times: Infinity });
    const removed = emulator.injectFault({ onBehalfOf: null, status: 504, times: Infinity });
    expect((await call(emulator, 'PUT', path, { body: {} })).status).toBe(500);
    expect((await call(emulator, 'GET', 'fhir/R4/Observation', { onBehalfOf: 'x' })).status).toBe(501);
    expect((await call(emulator, 'GET', path, { onBehalfOf: 'garbage' })).status).toBe(502);
    expect((await call(emulator, 'GET', path)).status).toBe(504);
    removed.remove();
    expect((await call(emulator, 'GET', path)).status).toBe(200);
  });

  it.each(['before-handling', 'before-answer', 'in-body'] as const)('reset the connection %s', async (reset) => {
    const before = emulator.requests.length;
    const count = async (): Promise<unknown> =>
      (await call(emulator, 'GET', 'fhir/R4/Patient?_summary=count')).json.total;
    const patients = Number(await count());
    emulator.injectFault({ method: 'POST', reset });
    await expect(call(emulator, 'POST', 'fhir/R4/Patient', { body: { resourceType: 'Patient' } })).rejects.toThrow(
      /fetch failed|terminated/,
    );
    expect(await count()).toBe(reset === 'before-handling' ? patients : patients + 1);
    expect(emulator.requests[before + 1]?.status).toBe(reset === 'in-body' ? 201 : undefined);
  });

  it('truncate the body', async () => {
    emulator.injectFault({ truncateAfter: 10 });
    await expect(call(emulator, 'GET', path)).rejects.toThrow(/fetch failed|terminated/);
  });

  it('hang until the client gives up', async () => {
    emulator.injectFault({ hang: true });
    await expect(fetch(emulator.baseUrl + path, { signal: AbortSignal.timeout(100) })).rejects.toThrow(
      /timeout|aborted/,
    );
  });

  it('delay the usual response', async () => {
    emulator.injectFault({ delayMs: 60 });
    const start = performance.now();
    expect((await call(emulator, 'GET', path)).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThanOrEqual(55);
  });

  it('redirect to another origin', async () => {
    emulator.injectFault({ redirect: 'http://elsewhere.example/' });
    const response = await call(emulator, 'GET', path);
    expect([response.status, response.headers.get('location')]).toEqual([307, 'http://elsewhere.example/']);
  });

  it('change the content type', async () => {
    emulator.injectFault({ contentType: 'text/html' });
    expect((await call(emulator, 'GET', path)).headers.get('content-type')).toBe('text/html');
  });

  it('are refused if a number is out of range', () => {
    expect(() => emulator.injectFault({ status: 99 })).toThrow(
      "A fault's status must be a number from 200 to 599, got 99",
    );
    expect(() => emulator.injectFault({ delayMs: NaN })).toThrow("A fault's delayMs");
  });

  it('can be injected from the start', async () => {
    const other = await MedplumEmulator.start({ faults: [{ path: '/healthcheck', status: 503 }] });
    try {
      expect((await call(other, 'GET', 'healthcheck')).status).toBe(503);
      expect((await call(other, 'GET', 'healthcheck')).status).toBe(200);
    } finally {
      await other.close();
    }
  });
});
