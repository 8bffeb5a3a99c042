import * as fc from 'fast-check';
import { isMedplumError, type MedplumRequestOptions } from 'nestjs-medplum';
import { asked, batchHandler, type ReadAnswer, urlsOf } from '../support/batch-server';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome } from '../support/wire-server';

/** When a read is made, from the begin of a run. */
const MOMENTS = {
  'at once': (fn: () => void) => fn(),
  'in a promise job': (fn: () => void) => void Promise.resolve().then(fn),
  'in a promise job of one': (fn: () => void) => void Promise.resolve().then(() => Promise.resolve().then(fn)),
  'in the next tick': (fn: () => void) => process.nextTick(fn),
  later: (fn: () => void) => void setImmediate(fn),
};

/** When the caller of a read gives up. */
const ENDS = ['never', 'never', 'never', 'at once', 'in a promise job', 'later'] as const;

const USERS = ['ProjectMembership/ann', 'ProjectMembership/ben', ''];

/** `for-now` is refused when it is read for the first time by a user. */
const IDS = ['1', '2', '3', 'missing', 'forbidden', 'broken', 'gone', 'for-now'];
const STATUSES: Readonly<Record<string, number>> = { missing: 404, forbidden: 403, broken: 500, gone: 410 };

interface Read {
  readonly user: string;
  readonly kind: 'read' | 'search';
  readonly id: string;
  readonly moment: keyof typeof MOMENTS;
  readonly end: (typeof ENDS)[number];
}

const reads = fc.array(
  fc.record<Read>({
    user: fc.constantFrom(...USERS),
    kind: fc.constantFrom('read', 'search'),
    id: fc.constantFrom(...IDS),
    moment: fc.constantFrom(...(Object.keys(MOMENTS) as (keyof typeof MOMENTS)[])),
    end: fc.constantFrom(...ENDS),
  }),
  { minLength: 2, maxLength: 30 },
);

const seen = new Set<string>();
let app: MedplumApp;

function answer(url: string, user: string | undefined): ReadAnswer {
  const id = /[\w-]+$/.exec(url)?.[0] ?? '';
  const key = `${user} ${url}`;
  const status = id === 'for-now' && !seen.has(key) ? 429 : STATUSES[id];
  seen.add(key);
  return status === undefined ? asked(url, user) : { status, body: outcome(id, 'x', `${user} ${url}`, false) };
}

beforeAll(async () => {
  const retry = { minTimeout: 1, maxTimeout: 2, budget: 1_000 };
  app = await startMedplumApp({ retry }, { handler: batchHandler(answer) });
});
afterAll(() => app?.close());

/** What a caller sees of its result. Then it changes the result. */
async function resultOf(work: Promise<object>): Promise<unknown> {
  try {
    const result = await work;
    const found = JSON.stringify(result);
    Object.keys(result).forEach((key) => Reflect.deleteProperty(result, key));
    return found;
  } catch (error) {
    if (!isMedplumError(error)) {
      throw error;
    }
    const { code, message, status, effect, retryable, request } = error;
    return { code, message, status, effect, retryable, path: request?.path, issue: error.outcome?.issue };
  }
}

function make({ user, kind, id, end }: Read, batchReads: boolean): Promise<unknown> {
  const controller = new AbortController();
  const options: MedplumRequestOptions = { onBehalfOf: user, batchReads, signal: controller.signal };
  const work =
    kind === 'read'
      ? app.medplum.readResource('Patient', id, options)
      : app.medplum.search('Patient', { identifier: id }, options);
  if (end !== 'never') {
    MOMENTS[end](() => controller.abort());
  }
  return resultOf(work);
}

async function run(list: readonly Read[], batchReads: boolean): Promise<unknown[]> {
  seen.clear();
  app.wire.requests.length = app.events.length = 0;
  return Promise.all(
    list.map(
      (read) =>
        new Promise((resolve, reject) => MOMENTS[read.moment](() => void make(read, batchReads).then(resolve, reject))),
    ),
  );
}

const urlOf = ({ kind, id }: Read): string => (kind === 'read' ? `Patient/${id}` : `Patient?identifier=${id}`);

/** Who made a call, and on which path. */
const facts = (onBehalfOf: string | undefined, path: string): string => `${onBehalfOf ?? ''} ${path}`;

describe('Any interleaving of users, reads and aborts', () => {
  it('has the same results with and without batches, and no request has two identities', async () => {
    let [batched, alone] = [0, 0];
    await fc.assert(
      fc.asyncProperty(reads, async (list) => {
        const expected = await run(
          list.map((read) => ({ ...read, end: 'never' }) as const),
          false,
        );
        alone += app.wire.requests.length;
        const results = await run(list, true);
        const { requests } = app.wire;
        batched += requests.length;
        // Whether an abort comes in time is open. A result that came is the one that it should have been.
        const isAborted = (result: unknown, index: number) =>
          list[index]?.end !== 'never' && (result as { code?: unknown }).code === 'MEDPLUM_ABORT';
        expect(results.map((result, i) => (isAborted(result, i) ? expected[i] : result))).toEqual(expected);
        for (const request of requests) {
          const own = list.filter(({ user }) => user === (request.onBehalfOf ?? '')).map(urlOf);
          const urls = urlsOf(request);
          expect(own).toEqual(expect.arrayContaining(urls));
          expect(new Set(urls).size).toBe(urls.length);
          const headers = request.rawHeaders.filter((name) => /^x-medplum-on-behalf-of$/i.test(name));
          expect(headers).toHaveLength(request.onBehalfOf === undefined ? 0 : 1);
        }
        expect(app.events).toHaveLength(list.length);
        expect(app.events.map((event) => facts(event.onBehalfOf, event.path)).toSorted()).toEqual(
          list.map((read) => facts(read.user, `/fhir/R4/${urlOf(read).split('?')[0]}`)).toSorted(),
        );
      }),
      { numRuns: 150 },
    );
    // Otherwise the property says nothing about batches.
    expect(batched).toBeLessThan(alone * 0.75);
  });
});
