import * as fc from 'fast-check';
import { bundleEntry, isMedplumError, MedplumTransactionError, type RequestEvent } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireAnswer, WireRequest } from '../support/wire-server';
import { ADMINISTRATIVE, consume, SURFACE, type SurfaceRow } from './surface';
import { surfaceHandler } from './surface-server';

/** Writes in ways that the surface does not use. */
const WRITES: Readonly<Record<string, SurfaceRow>> = {
  'a transaction that writes': (m, o) =>
    m.executeTransaction([bundleEntry.create({ resourceType: 'Patient' }), bundleEntry.read('Patient', 'p1')], o),
  'a batch that writes': (m, o) =>
    m.executeBatch(
      { resourceType: 'Bundle', type: 'batch', entry: [bundleEntry.create({ resourceType: 'Patient' })] },
      o,
    ),
  'a GraphQL mutation': (m, o) => m.graphql('mutation { PatientDelete(id: "p1") { id } }', o),
  'a raw transaction': (m, o) =>
    m.post(
      'fhir/R4',
      { resourceType: 'Bundle', type: 'transaction', entry: [bundleEntry.delete('Patient', 'p1')] },
      { ...o, headers: { prefer: 'return=minimal' } },
    ),
  'a raw GraphQL mutation': (m, o) => m.post('fhir/R4/$graphql', { query: 'mutation { a }' }, o),
  'fetch() of a write': (m, o) =>
    m.fetch('fhir/R4/Patient', { ...o, method: 'POST', body: '{}' }).then((response) => response.text()),
};

const ROWS = Object.entries({ ...SURFACE, ...WRITES });

/** Names that mean something to FHIR or to JavaScript. */
const name = fc.constantFrom(
  ...'resourceType id meta versionId status entry resource response request search mode link relation url issue details'.split(
    ' ',
  ),
  ...'coding extension data errors output access policy parameter location outcome diagnostics valueReference total'.split(
    ' ',
  ),
  ...'toString valueOf constructor __proto__ then length toJSON'.split(' '),
);

const leaf = fc.oneof(
  fc.constantFrom(
    null,
    true,
    0,
    -1,
    1e308,
    '',
    'Patient',
    'Bundle',
    'OperationOutcome',
    'AsyncJob',
    'p1',
    '201',
    '500',
    '9',
  ),
  fc.string(),
);

/** JSON text, so that `__proto__` is a key like any other. */
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf.map((value) => JSON.stringify(value)),
    fc.array(tie('json'), { maxLength: 4 }).map((items) => `[${items.join()}]`),
    fc
      .array(fc.tuple(name, tie('json')), { maxLength: 5 })
      .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join()}}`),
  ),
}));

/** What the server answers to one request. */
interface Odd {
  /** `mutated`: what was asked for, with one part replaced by `json`. */
  readonly how: 'right' | 'mutated' | 'json' | 'text';
  readonly status: number | undefined;
  readonly type: string;
  readonly json: string;
  readonly text: string;
  /** Which part is replaced. */
  readonly part: number;
}

const statuses = [200, 201, 202, 204, 206, 299, 300, 301, 303, 304, 307, 400, 401, 403, 404, 409, 410, 412, 422, 429];

const odd = fc.record<Odd>({
  how: fc.constantFrom('right', 'mutated', 'mutated', 'mutated', 'json', 'text'),
  status: fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...statuses, 500, 501, 502, 503, 504, 599, 600, 999) },
  ),
  type: fc.constantFrom('application/fhir+json', 'application/fhir+json', 'application/json', 'text/html', '', 'a;b'),
  json,
  text: fc.oneof(fc.constant(''), fc.string(), fc.constant('<html>'), fc.constant('{"resourceType":')),
  part: fc.nat(200),
});

/** Replaces one part of `value` by `text`. */
function mutated(value: unknown, part: number, text: string): string {
  const mark = `mark-${part}-`;
  let spots = 0;
  const count = (item: unknown): void => {
    spots++;
    Object.values(typeof item === 'object' && item !== null ? item : {}).forEach(count);
  };
  count(value);
  let left = part % spots;
  const put = (item: unknown): unknown => {
    if (left-- === 0) {
      return mark;
    }
    return Array.isArray(item)
      ? item.map(put)
      : typeof item === 'object' && item !== null
        ? Object.fromEntries(Object.entries(item).map(([key, one]) => [key, put(one)]))
        : item;
  };
  return JSON.stringify(put(value)).replace(`"${mark}"`, () => text);
}

function right(request: WireRequest): WireAnswer {
  if (request.path.includes('/ProjectMembership/')) {
    const parameter = [
      { name: 'x', valueReference: { reference: 'Patient/p1' } },
      { name: 'y', valueString: 'z' },
    ];
    const access = ['a1', 'a2'].map((id) => ({ policy: { reference: `AccessPolicy/${id}` }, parameter }));
    return { body: { resourceType: 'ProjectMembership', id: 'm1', meta: { versionId: 'v1' }, access } };
  }
  const answer = surfaceHandler(request, app.wire.baseUrl);
  const { entry } = (request.path === '/fhir/R4' ? JSON.parse(request.body) : {}) as { entry?: object[] };
  return entry && request.method === 'POST'
    ? {
        body: {
          resourceType: 'Bundle',
          type: 'batch-response',
          entry: entry.map(() => ({ response: { status: '200' } })),
        },
      }
    : answer;
}

function answerOf(request: WireRequest, { how, status, type, json: value, text, part }: Odd): WireAnswer {
  const proper = right(request);
  const headers = { ...proper.headers, 'content-type': type };
  switch (how) {
    case 'right':
      return { ...proper, ...(status === undefined ? {} : { status }) };
    case 'mutated':
      return {
        status: status ?? proper.status ?? 200,
        headers: { ...headers, 'content-type': 'application/fhir+json' },
        body: mutated(proper.body, part, value),
      };
    case 'json':
      return { status: status ?? 200, headers, body: value };
    default:
      return { status: status ?? 200, headers, body: text };
  }
}

let app: MedplumApp;
/** What arrived during one use of a method, with the status of the answer. */
let answered: { readonly path: string; readonly status: number }[] = [];

beforeAll(async () => {
  app = await startMedplumApp({ retry: { maxRetries: 0 } });
});
afterAll(() => app.close());

function answering(answers: readonly Odd[]): void {
  app.events.length = 0;
  answered = [];
  app.wire.handler = (request) => {
    const chosen = answers[answered.length % answers.length];
    const answer = chosen ? answerOf(request, chosen) : right(request);
    answered.push({ path: request.path, status: answer.status ?? 200 });
    return answer;
  };
}

const optionsOf = (row: string): object => ({
  ...(ADMINISTRATIVE.has(row) ? {} : { onBehalfOf: 'm-1' }),
  ...(/^bulk\.(?:export|waitForJob)$/.test(row) ? { maxWait: 20 } : {}),
});

const keyOf = ({ method, pathTemplate }: RequestEvent): string => `${method} ${pathTemplate}`;

/** Whether every entry of a transaction was answered as refused. Only then is it certain that it wrote nothing. */
function allRefused(error: unknown): boolean {
  if (!(error instanceof MedplumTransactionError)) {
    return false;
  }
  const { response } = error as { response?: { entry?: { response?: { status?: unknown } }[] } };
  const entries = response?.entry ?? [];
  return entries.length > 0 && /^[34]\d\d/.test(String(entries[0]?.response?.status));
}

describe.each(ROWS)('%s', (row, use) => {
  it('resolves or rejects with a typed error, one event for each request, and a true effect, whatever the server answers', async () => {
    answering([]);
    await consume(await use(app.medplum, optionsOf(row)));
    const writes = new Set(app.events.filter(({ effect }) => effect !== 'none').map(keyOf));
    await fc.assert(
      fc.asyncProperty(fc.array(odd, { minLength: 1, maxLength: 3 }), async (answers) => {
        answering(answers);
        const error: unknown = await Promise.resolve()
          .then(() => use(app.medplum, optionsOf(row)))
          .then(consume)
          .then(
            () => undefined,
            (reason: unknown) => reason ?? 'nothing',
          );
        if (error !== undefined && !isMedplumError(error)) {
          throw new Error('It rejected with an error that is not typed.', { cause: error });
        }
        await new Promise(setImmediate);
        const sent = app.events.filter(({ attempts }) => attempts.length > 0);
        expect(sent.map(({ attempts }) => attempts.map(({ status }) => status))).toEqual(
          answered.map(({ status }) => [status]),
        );
        const written = row === 'executeTransaction' ? [] : sent.filter((event) => writes.has(keyOf(event)));
        const isTrue = ({ attempts, effect }: RequestEvent): boolean =>
          (attempts[0]?.status ?? 0) >= 300 || effect !== 'none' || allRefused(error);
        expect(written.filter((event) => !isTrue(event))).toEqual([]);
        const happened = error !== undefined && written.some(({ effect }) => effect === 'happened');
        expect(happened && error.effect === 'none').toBe(false);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 60) },
    );
  });
});

const PATIENT = { resourceType: 'Patient' } as const;
const who = { onBehalfOf: 'm-1' };

const answerWith = (...answers: readonly WireAnswer[]): void => {
  let sent = 0;
  app.events.length = 0;
  app.wire.handler = (request) => answers[sent++] ?? right(request);
};

it.each<readonly [string, WireAnswer, object]>([
  ['a status that fetch does not know', { status: 600 }, { status: 600, effect: 'unknown' }],
  [
    'a body that was cut off',
    { status: 200, headers: { 'content-length': '9' }, destroy: true },
    { effect: 'unknown' },
  ],
])('fetch() of a write rejects for %s', async (_what, answer, error) => {
  answerWith(answer);
  await expect(app.medplum.fetch('fhir/R4/Patient', { ...who, method: 'POST', body: '{}' })).rejects.toMatchObject(
    error,
  );
  expect(app.events).toMatchObject([error]);
});

it('a 304 to a write is an error status, and the write did not happen', async () => {
  answerWith({ status: 304 });
  const response = await app.medplum.fetch('fhir/R4/Patient', { ...who, method: 'POST', body: '{}' });
  expect(response.status).toBe(304);
  expect(app.events).toMatchObject([{ outcome: 'error', effect: 'none' }]);
});

it.each([
  ['500', 'unknown'],
  ['100', 'unknown'],
  ['400', 'none'],
])('an entry of a transaction that failed with %s has the effect %s', async (status, effect) => {
  answerWith({ body: { resourceType: 'Bundle', entry: [{ response: { status } }] } });
  await expect(app.medplum.executeTransaction([bundleEntry.create(PATIENT)], who)).rejects.toMatchObject({
    code: 'MEDPLUM_TRANSACTION',
    effect,
  });
});

it.each([['9'], ['2000'], [{ toString: 1 }], [null]])(
  'a transaction that reports the status %j is unclear',
  async (status) => {
    answerWith({ body: { resourceType: 'Bundle', entry: [{ response: { status } }] } });
    await expect(app.medplum.executeTransaction([bundleEntry.create(PATIENT)], who)).rejects.toMatchObject({
      code: 'MEDPLUM_PROTOCOL',
      effect: 'unknown',
    });
  },
);

it('a batch that is answered with an empty body is unclear, because its status says nothing about its entries', async () => {
  answerWith({ status: 200 });
  await expect(
    app.medplum.executeBatch({ resourceType: 'Bundle', type: 'batch', entry: [bundleEntry.create(PATIENT)] }, who),
  ).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'unknown' });
});

it.each<readonly [string, readonly WireAnswer[], () => Promise<unknown>]>([
  [
    'binaries.createDocumentReference',
    [{ body: { resourceType: 'Binary', id: 'b1' } }, { status: 403 }],
    () =>
      app.medplum.binaries.createDocumentReference(
        { resourceType: 'DocumentReference', status: 'current' },
        'text',
        { contentType: 'text/plain' },
        who,
      ),
  ],
  ['bulk.export without an address', [{ status: 202, body: {} }], () => app.medplum.bulk.export({}, who)],
  [
    'bulk.export with a job that fails',
    [{ status: 202, headers: { 'content-location': '/fhir/R4/job/j1/status' }, body: {} }, { status: 429 }],
    () => app.medplum.bulk.export({}, who),
  ],
])('%s says that it wrote, although a later request failed', async (_what, answers, use) => {
  answerWith(...answers);
  await expect(use()).rejects.toMatchObject({ effect: 'happened', retryable: false });
  expect(app.events.map(({ effect }) => effect)).toEqual(answers.map((_answer, i) => (i === 0 ? 'happened' : 'none')));
});

it('a parameter of an access entry that is null does not break a change of access', async () => {
  const access = [{ policy: { reference: 'AccessPolicy/a1' }, parameter: [null, { name: 'x', valueReference: null }] }];
  answerWith({ body: { resourceType: 'ProjectMembership', id: 'm1', meta: { versionId: 'v1' }, access } });
  await expect(
    app.medplum.memberships.addAccess('m1', { policy: { reference: 'AccessPolicy/a1' } }, ['a1']),
  ).resolves.toMatchObject({ updated: true });
});

it('a membership whose version is no id is not changed', async () => {
  answerWith({ body: { resourceType: 'ProjectMembership', id: 'm1', meta: { versionId: { a: 1 } } } });
  await expect(
    app.medplum.memberships.addAccess('m1', { policy: { reference: 'AccessPolicy/a1' } }, ['a1']),
  ).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'none' });
});

it('a check that cannot read the answer is a typed error, and its call has one event', async () => {
  answerWith({ body: { resourceType: 'Bundle', entry: [{ response: { status: '200' } }] } });
  // The check reads the list that was sent once more.
  const entries = [bundleEntry.create(PATIENT)];
  let reads = 0;
  entries.some = () => {
    reads++;
    throw new TypeError('unreadable');
  };
  await expect(app.medplum.executeTransaction(entries, who)).rejects.toMatchObject({ effect: 'unknown' });
  expect(reads).toBe(1);
  expect(app.events).toMatchObject([{ outcome: 'error', effect: 'unknown' }]);
});

it('splits no entry whose resource is not an object', async () => {
  answerWith({ body: { resourceType: 'Bundle', entry: [{ resource: 'Patient' }, { resource: true }, 1] } });
  await expect(app.medplum.searchResources('Patient', {}, who)).resolves.toEqual([]);
});
