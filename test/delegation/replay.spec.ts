import { MemoryStore, type MedplumStore } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { delegation, partsOf, refusalOf } from '../support/delegations';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let log: CapturedLog;
let apps: MedplumApp[] = [];

beforeEach(() => (log = captureLog()));
afterEach(async () => {
  jest.restoreAllMocks();
  log.restore();
  await Promise.all(apps.map((app) => app.close()));
  apps = [];
});

async function start(store: MedplumStore, more: object = {}): Promise<MedplumApp['medplum']> {
  const app = await startMedplumApp({ delegation: delegation({ realm: 'clinic' }), store, ...more });
  apps.push(app);
  return app.medplum;
}
const mint = (medplum: MedplumApp['medplum'], more: object = {}) =>
  medplum.onBehalfOf('m1', () => medplum.delegate({ audience: 'reports', expiresIn: 60_000, ...more }));

describe('a token without a job', () => {
  it('can be used once, by whichever instance that shares the store', async () => {
    const store = new MemoryStore();
    const instances = [await start(store), await start(store), await start(store)];
    const token = await mint(instances[0] as MedplumApp['medplum']);
    const uses = Array.from({ length: 10 }, () => instances)
      .flat()
      .map((one) => one.runDelegated(token, () => 'ran'));
    const results = await Promise.allSettled(uses);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(apps.flatMap(({ events }) => events.filter(({ error }) => error?.reason === 'replayed'))).toHaveLength(29);
  });

  it('stays used when the function fails', async () => {
    const medplum = await start(new MemoryStore());
    const token = await mint(medplum);
    await expect(medplum.runDelegated(token, () => Promise.reject(new Error('app')))).rejects.toThrow('app');
    expect(await refusalOf(medplum.runDelegated(token, () => undefined))).toBe('replayed');
  });

  it('is remembered for longer than it can be used', async () => {
    const store = new MemoryStore();
    const add = jest.spyOn(store, 'add');
    const medplum = await start(store);
    const token = await mint(medplum);
    await medplum.runDelegated(token, () => undefined);
    const [key, , milliseconds] = add.mock.calls[0] ?? [];
    expect(key).toContain(String(partsOf(token).claims['jti']));
    // The token can be used for 60 s, and 30 s more for clocks that differ.
    expect(milliseconds).toBeGreaterThan(90_000);
  });

  it('is not used up by being refused', async () => {
    const medplum = await start(new MemoryStore());
    const token = await mint(medplum);
    expect(await refusalOf(medplum.runDelegated(token, () => undefined, { audience: 'billing' }))).toBe('audience');
    expect(await refusalOf(medplum.runDelegated(token, () => undefined, { jobId: 'j1' }))).toBe('job');
    expect(await medplum.runDelegated(token, () => 'ran')).toBe('ran');
  });
});

describe('a token of a job', () => {
  it('serves each attempt once, so that a retry runs and a copy does not', async () => {
    const store = new MemoryStore();
    const [medplum, other] = [await start(store), await start(store)];
    const token = await mint(medplum, { jobId: 'j1' });
    const run = (attempt: number, service = medplum) =>
      service.runDelegated(token, () => attempt, { jobId: 'j1', attempt });
    expect(await run(1)).toBe(1);
    expect(await run(2, other)).toBe(2);
    expect(await refusalOf(run(1, other))).toBe('replayed');
    expect(await refusalOf(run(2))).toBe('replayed');
    expect(await run(3)).toBe(3);
  });

  it('serves the job until it expires where nobody counts attempts', async () => {
    const medplum = await start(new MemoryStore());
    const token = await mint(medplum, { jobId: 'j1' });
    for (const run of [1, 2, 3]) {
      expect(await medplum.runDelegated(token, () => run, { jobId: 'j1' })).toBe(run);
    }
  });

  it('serves no other job, and no use without a job', async () => {
    const medplum = await start(new MemoryStore());
    const token = await mint(medplum, { jobId: 'j1' });
    for (const jobId of ['j2', 'J1', 'j1 ', undefined]) {
      expect(await refusalOf(medplum.runDelegated(token, () => undefined, { jobId }))).toBe('job');
    }
  });

  it.each([{ attempt: 1 }, { attempt: -1, jobId: 'j1' }, { attempt: 1.5, jobId: 'j1' }, { jobId: '' }, { job: 'j1' }])(
    'is not used with the options %j',
    async (options) => {
      const medplum = await start(new MemoryStore());
      const token = await mint(medplum, { jobId: 'j1' });
      expect(await refusalOf(medplum.runDelegated(token, () => undefined, options as object))).toBe('arguments');
    },
  );
});

const failing = (add: () => Promise<boolean>): MedplumStore => Object.assign(new MemoryStore(), { add });

describe('a store that fails', () => {
  const stores: Readonly<Record<string, () => MedplumStore>> = {
    rejects: () => failing(() => Promise.reject(new Error('redis://user:password@host'))),
    throws: () =>
      failing(() => {
        throw new Error('redis://user:password@host');
      }),
    hangs: () => failing(() => new Promise(() => undefined)),
  };

  it.each(Object.keys(stores))('refuses the token when it %s, and says so without its words', async (how) => {
    const store = stores[how]?.() as MedplumStore;
    const medplum = await start(store, { timeout: 100 });
    const fn = jest.fn();
    const error = await failureOf(medplum.runDelegated(await mint(medplum), fn));
    expect(error).toMatchObject({ reason: 'store', retryable: true, effect: 'none' });
    expect(fn).not.toHaveBeenCalled();
    expect(JSON.stringify([error, apps[0]?.events, log.given])).not.toContain('password');
    expect(apps[0]?.wire.requests).toEqual([]);
  });
});
