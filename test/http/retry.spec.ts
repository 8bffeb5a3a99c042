import type { Bundle, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import {
  isMedplumError,
  MedplumConflictError,
  MedplumForbiddenError,
  MedplumNotFoundError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  type MedplumService,
  MedplumUnauthorizedError,
  UnknownEffectError,
} from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { statusLines, withHeldTimers } from '../support/held-timers';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type Fault, FAULTS } from '../support/wire-faults';
import { outcome, resourceAsked, type WireAnswer, type WireHandler, WireServer } from '../support/wire-server';

const PATIENT: Patient = { resourceType: 'Patient', id: '1', identifier: [{ system: 'urn:mrn', value: '4711' }] };
const BATCH: Bundle = {
  resourceType: 'Bundle',
  type: 'batch',
  entry: [{ request: { method: 'GET', url: 'Patient/1' } }, { request: { method: 'DELETE', url: 'Patient/2' } }],
};
const READS: Bundle = {
  resourceType: 'Bundle',
  type: 'batch',
  entry: [{ request: { method: 'GET', url: 'Patient/1' } }, { request: { method: 'GET', url: 'Patient?name=Homer' } }],
};

/** One call of each kind, on behalf of a membership named like it, so that its requests can be told apart. */
const CALLS = {
  read: (medplum: MedplumService) => medplum.readResource('Patient', '1', { onBehalfOf: 'read' }),
  search: (medplum: MedplumService) => medplum.search('Patient', 'name=Homer', { onBehalfOf: 'search' }),
  create: (medplum: MedplumService) => medplum.createResource(PATIENT, { onBehalfOf: 'create' }),
  update: (medplum: MedplumService) => medplum.updateResource(PATIENT, { onBehalfOf: 'update' }),
  patch: (medplum: MedplumService) =>
    medplum.patchResource('Patient', '1', [{ op: 'remove', path: '/name' }], { onBehalfOf: 'patch' }),
  delete: (medplum: MedplumService) => medplum.deleteResource('Patient', '1', { onBehalfOf: 'delete' }),
  batch: (medplum: MedplumService) => medplum.executeBatch(BATCH, { onBehalfOf: 'batch' }),
  'batch of reads': (medplum: MedplumService) => medplum.executeBatch(READS, { onBehalfOf: 'batch-of-reads' }),
  'create unless the name exists': (medplum: MedplumService) =>
    medplum.createResourceIfNoneExist(PATIENT, 'name=Homer', { onBehalfOf: 'by-name' }),
  'create unless its identifier exists': (medplum: MedplumService) =>
    medplum.createResourceIfNoneExist(PATIENT, 'identifier=urn:mrn|4711', { onBehalfOf: 'by-identifier' }),
} as const;
type CallName = keyof typeof CALLS;
const NAMES = Object.keys(CALLS) as CallName[];
const IDENTITIES: Partial<Record<CallName, string>> = {
  'batch of reads': 'batch-of-reads',
  'create unless the name exists': 'by-name',
  'create unless its identifier exists': 'by-identifier',
};
const identityOf = (name: CallName): string => `ProjectMembership/${IDENTITIES[name] ?? name}`;

/** What may be done with a call of unknown fate: repeat it; repeat it, as the server recognises it; nothing. */
function kindOf(name: CallName): 'safe' | 'recognised' | 'unsafe' {
  if (name === 'read' || name === 'search' || name === 'batch of reads') {
    return 'safe';
  }
  return name === 'create unless its identifier exists' ? 'recognised' : 'unsafe';
}

const MAX_RETRIES = 2;
let app: MedplumApp;

beforeAll(async () => {
  app = await startMedplumApp({ retry: { maxRetries: MAX_RETRIES, minTimeout: 1, budget: 10_000 }, timeout: 20_000 });
});
afterAll(() => app.close());

/** Answers the first requests of each identity by `faults`, in order, and the others well. */
function failing(...faults: readonly (Fault | WireHandler)[]): WireHandler {
  const seen = new Map<string | undefined, number>();
  return (request, response) => {
    const before = seen.get(request.onBehalfOf) ?? 0;
    seen.set(request.onBehalfOf, before + 1);
    const fault = faults[before];
    return fault === undefined
      ? { body: resourceAsked(request) }
      : (typeof fault === 'string' ? FAULTS[fault] : fault)(request, response);
  };
}

/** Makes all calls at once, and tells of each how often it was sent and what became of it. */
async function outcomes(medplum: MedplumService = app.medplum): Promise<Record<CallName, string>> {
  const [requests, events] = [app.wire.requests.length, app.events.length];
  const results = await Promise.all(
    NAMES.map(async (name) => {
      const error: unknown = await CALLS[name](medplum).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const sent = app.wire.requests.slice(requests).filter(({ onBehalfOf }) => onBehalfOf === identityOf(name));
      const [event, ...others] = app.events.slice(events).filter(({ onBehalfOf }) => onBehalfOf === identityOf(name));
      expect(others).toEqual([]);
      expect(event?.attempts.map(({ attempt }) => attempt)).toEqual(sent.map((_, i) => i + 1));
      const { name: type, effect } = isMedplumError(error) ? error : { name: undefined, effect: event?.effect };
      expect(event).toMatchObject(type ? { outcome: 'error', error: { name: type }, effect } : { outcome: 'success' });
      const again = isMedplumError(error) && error.retryable ? 'retryable' : 'final';
      return [name, `${sent.length}: ${type ? `${type}, ${effect}, ${again}` : `answered, ${effect}`}`] as const;
    }),
  );
  return Object.fromEntries(results) as Record<CallName, string>;
}

function expected(safe: string, recognised: string, unsafe: string): Record<CallName, string> {
  const kinds = { safe, recognised, unsafe };
  return Object.fromEntries(NAMES.map((name) => [name, kinds[kindOf(name)]])) as Record<CallName, string>;
}

/** A refusal of the resource stage. */
const answer =
  (status: number): WireHandler =>
  () => ({ status, body: outcome('some-id', 'some-code', 'Some text') });

/** A conditional create that the server recognises. */
const create = () => CALLS['create unless its identifier exists'](app.medplum);

/** A refusal whose body ends too early. */
const refusalCutOff: WireHandler = (_request, response) => {
  response.writeHead(403, { 'content-type': 'application/fhir+json', 'content-length': 100 });
  response.write('{"resourceType":', () => response.socket?.end());
  return undefined;
};

describe('A fault that lasts', () => {
  const thrice = MAX_RETRIES + 1;
  const rateLimit = `${thrice}: MedplumRateLimitError, none, retryable`;
  const busy = `${thrice}: MedplumConflictError, none, retryable`;
  const conflict = '1: MedplumConflictError, none, final';
  const server = [
    `${thrice}: MedplumServerError, none, retryable`,
    `${thrice}: MedplumServerError, unknown, retryable`,
    '1: MedplumServerError, unknown, final',
  ] as const;
  const cutOff = [
    `${thrice}: MedplumProtocolError, none, retryable`,
    // The status line said that it is done.
    '1: MedplumProtocolError, happened, final',
    '1: MedplumProtocolError, happened, final',
  ] as const;

  it.each<readonly [Fault, safe: string, recognised: string, unsafe: string]>([
    [
      'reset before headers',
      `${thrice}: MedplumConnectionError, none, retryable`,
      `${thrice}: MedplumConnectionError, unknown, retryable`,
      '1: MedplumConnectionError, unknown, final',
    ],
    ['reset in the body', ...cutOff],
    ['truncated body', ...cutOff],
    ['truncated chunks', ...cutOff],
    ['429', rateLimit, rateLimit, rateLimit],
    ['409 40001', busy, busy, busy],
    ['409', conflict, conflict, conflict],
    [
      '500',
      '1: MedplumServerError, none, final',
      '1: MedplumServerError, unknown, final',
      '1: MedplumServerError, unknown, final',
    ],
    ['502', ...server],
    ['503', ...server],
    ['504', ...server],
    [
      'no JSON',
      '1: MedplumProtocolError, none, final',
      // An HTML page, whoever wrote it.
      '1: MedplumProtocolError, unknown, final',
      '1: MedplumProtocolError, unknown, final',
    ],
  ])('%s', async (fault, safe, recognised, unsafe) => {
    app.wire.handler = FAULTS[fault];
    await expect(outcomes()).resolves.toEqual(expected(safe, recognised, unsafe));
  });

  it.each<readonly [Fault, safe: string, recognised: string, unsafe: string]>([
    [
      'hang',
      '1: MedplumTimeoutError, none, retryable',
      '1: MedplumTimeoutError, unknown, retryable',
      '1: MedplumTimeoutError, unknown, final',
    ],
    [
      'hang in the body',
      '1: MedplumTimeoutError, none, retryable',
      '1: MedplumTimeoutError, happened, final',
      '1: MedplumTimeoutError, happened, final',
    ],
  ])('%s', async (fault, ...kinds) => {
    const other = await startMedplumApp({ timeout: 500 }, { handler: FAULTS[fault] });
    const before = app;
    app = other;
    const hung = fault === 'hang' ? other.wire.received(NAMES.length) : statusLines(NAMES.length);
    try {
      await withHeldTimers(async (pass) => {
        const results = outcomes();
        await hung;
        pass(500);
        expect(await results).toEqual(expected(...kinds));
      });
    } finally {
      app = before;
      await other.close();
    }
  });

  it('connection refused: the request never left, so everything is tried again', async () => {
    const gone = await WireServer.start();
    const { baseUrl } = gone;
    await gone.close();
    const other = await startMedplumApp({ baseUrl, retry: { maxRetries: MAX_RETRIES, minTimeout: 1 } });
    try {
      for (const name of NAMES) {
        const error = await failureOf(CALLS[name](other.medplum));
        expect(error).toMatchObject({
          name: 'MedplumConnectionError',
          effect: 'none',
          retryable: true,
          cause: { code: 'ECONNREFUSED' },
        });
        const attempts = [1, 2, 3].map((attempt) => ({ attempt, error: 'ECONNREFUSED' }));
        expect(other.events.at(-1)?.attempts).toMatchObject(attempts);
      }
    } finally {
      await other.close();
    }
  });

  it.each([
    [301, 'none'],
    [302, 'none'],
    [303, 'unknown'],
    [307, 'none'],
    [308, 'none'],
  ])('%d to another origin, which gets nothing', async (status, effect) => {
    const elsewhere = await WireServer.start();
    try {
      app.wire.handler = () => ({ status, headers: { location: `${elsewhere.baseUrl}fhir/R4/Patient/1` } });
      const [read, write] = ['none', effect].map((done) => `1: MedplumProtocolError, ${done}, final`);
      await expect(outcomes()).resolves.toEqual(expected(String(read), String(write), String(write)));
      expect(elsewhere.requests).toHaveLength(0);
    } finally {
      await elsewhere.close();
    }
  });
});

describe('A fault that passes', () => {
  const repeated = '2: answered, happened';

  it.each<readonly [Fault, recognised: string, unsafe: string]>([
    ['reset before headers', repeated, '1: MedplumConnectionError, unknown, final'],
    ['502', repeated, '1: MedplumServerError, unknown, final'],
    ['503', repeated, '1: MedplumServerError, unknown, final'],
    ['504', repeated, '1: MedplumServerError, unknown, final'],
    ['429', repeated, repeated],
    ['409 40001', repeated, repeated],
    ['truncated body', '1: MedplumProtocolError, happened, final', '1: MedplumProtocolError, happened, final'],
    ['truncated chunks', '1: MedplumProtocolError, happened, final', '1: MedplumProtocolError, happened, final'],
    ['reset in the body', '1: MedplumProtocolError, happened, final', '1: MedplumProtocolError, happened, final'],
  ])('%s is not seen by who reads', async (fault, recognised, unsafe) => {
    app.wire.handler = failing(fault);
    await expect(outcomes()).resolves.toEqual(expected('2: answered, none', recognised, unsafe));
  });

  it('leaves body, identity and condition of a repeated request as they were', async () => {
    app.wire.handler = failing('429', 'reset before headers');
    const before = app.wire.requests.length;
    await CALLS['create unless its identifier exists'](app.medplum);
    const sent = app.wire.requests.slice(before);
    expect(sent).toHaveLength(3);
    for (const request of sent) {
      expect(request).toMatchObject({
        method: 'POST',
        path: '/fhir/R4/Patient',
        onBehalfOf: 'ProjectMembership/by-identifier',
        headers: { 'if-none-exist': 'identifier=urn%3Amrn%7C4711' },
      });
      expect(JSON.parse(request.body)).toEqual(PATIENT);
    }
  });

  it('shows in the event, attempt by attempt', async () => {
    app.wire.handler = failing('503', 'reset before headers');
    await CALLS.read(app.medplum);
    expect(app.events.at(-1)).toMatchObject({
      outcome: 'success',
      status: 200,
      attempts: [
        { attempt: 1, status: 503 },
        { attempt: 2, error: expect.any(String) as unknown },
        { attempt: 3, status: 200 },
      ],
    });
    expect(app.events.at(-1)?.attempts[1]?.status).toBeUndefined();
  });
});

it('The code of a conflict of the database means nothing with another status than 409', async () => {
  app.wire.handler = failing(() => ({ ...FAULTS['409 40001'](), status: 422 }));
  await failureOf(CALLS.create(app.medplum));
  expect(app.events.at(-1)?.attempts).toMatchObject([{ status: 422 }]);
});

describe('After an attempt whose fate is unknown', () => {
  it.each([404, 410, 412])('a %d is an UnknownEffectError', async (status) => {
    for (const fault of ['reset before headers', '503'] as const) {
      app.wire.handler = failing(fault, answer(status));
      const error = await failureOf(create());
      expect(error).toBeInstanceOf(UnknownEffectError);
      expect(error).toMatchObject({ status, effect: 'unknown', retryable: false });
      expect(error.requestId).toBe('00000000-0000-4000-8000-000000000001');
      expect(error.outcome).toBeDefined();
    }
  });

  it('other errors keep their class, and the effect stays unknown', async () => {
    app.wire.handler = failing('reset before headers', '409');
    const error = await failureOf(create());
    expect(error).toBeInstanceOf(MedplumConflictError);
    expect(error.effect).toBe('unknown');
  });

  it('a secret that cannot be renewed leaves the effect unknown', async () => {
    let asked = 0;
    const clientSecret = (): string => {
      asked++;
      if (asked > 1) {
        throw new Error('vault is sealed');
      }
      return 'first';
    };
    const handler = failing('reset before headers', answer(401));
    const other = await startMedplumApp({ clientSecret, retry: { minTimeout: 1 } }, { handler });
    try {
      const error = await failureOf(CALLS['create unless its identifier exists'](other.medplum));
      expect(error).toBeInstanceOf(MedplumUnauthorizedError);
      // The server recognises the create by its identifier.
      expect(error).toMatchObject({ effect: 'unknown', retryable: true });
      expect(error.message).not.toContain('Nothing was sent');
    } finally {
      await other.close();
    }
  });

  it('a success is a success', async () => {
    app.wire.handler = failing('reset before headers', () => ({ status: 201, body: { ...PATIENT, id: '9' } }));
    await expect(create()).resolves.toMatchObject({ id: '9' });
    expect(app.events.at(-1)).toMatchObject({ outcome: 'success', effect: 'happened', status: 201 });
  });
});

describe('A 412 or 404 is what it says', () => {
  it('when the attempts before it did nothing for certain', async () => {
    app.wire.handler = failing('429', () => ({
      status: 412,
      body: outcome('multiple-matches', 'multiple-matches', 'x'),
    }));
    const error = await failureOf(CALLS['create unless its identifier exists'](app.medplum));
    expect(error).toBeInstanceOf(MedplumPreconditionFailedError);
    expect(error.effect).toBe('none');
  });

  it('when the call changes nothing', async () => {
    app.wire.handler = failing('reset before headers', () => ({
      status: 404,
      body: outcome('not-found', 'not-found', 'x'),
    }));
    const error = await failureOf(CALLS.read(app.medplum));
    expect(error).toBeInstanceOf(MedplumNotFoundError);
    expect(error.effect).toBe('none');
  });
});

describe('A refusal whose body is lost', () => {
  it('still did nothing', async () => {
    app.wire.handler = refusalCutOff;
    const error = await failureOf(CALLS.create(app.medplum));
    expect(error).toBeInstanceOf(MedplumProtocolError);
    expect(error).toMatchObject({ status: 403, effect: 'none' });
  });

  it('is asked for again when the call is safe', async () => {
    app.wire.handler = failing(refusalCutOff, () => ({
      status: 403,
      body: outcome('forbidden', 'forbidden', 'Forbidden'),
    }));
    await expect(CALLS.read(app.medplum)).rejects.toBeInstanceOf(MedplumForbiddenError);
  });
});

describe('An answer of success that is no resource', () => {
  it.each<readonly [string, WireAnswer]>([
    ['nothing', {}],
    ['null', { body: 'null' }],
    ['text', { body: '"Patient"' }],
    ['a list', { body: '[]' }],
  ])('%s: no read or search can go on with it', async (_what, wrong) => {
    app.wire.handler = () => wrong;
    const { medplum } = app;
    const onBehalfOf = 'm-1';
    const reads = [
      medplum.readResource('Patient', '1', { onBehalfOf }),
      medplum.search('Patient', '', { onBehalfOf }),
      medplum.searchOne('Patient', '', { onBehalfOf }),
      medplum.searchResources('Patient', '', { onBehalfOf }),
    ];
    for (const result of await Promise.allSettled(reads)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'MEDPLUM_PROTOCOL', effect: 'none' } });
    }
  });

  it('nothing: a write is done, and an error where the method returns what was stored', async () => {
    app.wire.handler = () => ({ status: 204 });
    await expect(CALLS.delete(app.medplum)).resolves.toBeUndefined();
    await expect(failureOf(CALLS.update(app.medplum))).resolves.toMatchObject({
      name: 'MedplumProtocolError',
      effect: 'happened',
      retryable: false,
    });
  });
});

describe('The waits between attempts', () => {
  it('are those that the server asks for, unless they are longer than maxTimeout', async () => {
    const soon = '"requests";r=9;t=1, "fhirInteractions";r=0;t=0';
    app.wire.handler = failing(() => ({ status: 429, headers: { ratelimit: soon } }));
    await expect(CALLS.create(app.medplum)).resolves.toMatchObject({ id: '1' });

    const late = ['"requests";r=59975;t=9', '"fhirInteractions";r=0;t=60'];
    app.wire.handler = failing(() => ({ status: 429, headers: { ratelimit: late } }));
    await expect(failureOf(CALLS.create(app.medplum))).resolves.toMatchObject({
      name: 'MedplumRateLimitError',
      retryAfter: 60_000,
      effect: 'none',
      retryable: true,
    });
    expect(app.events.at(-1)?.attempts).toHaveLength(1);
  });

  it('are not prolonged by a header of a response that asks for none', async () => {
    const conflict = FAULTS['409 40001']();
    app.wire.handler = failing(() => ({ ...conflict, headers: { 'retry-after': '60' } }));
    await expect(CALLS.create(app.medplum)).resolves.toMatchObject({ id: '1' });
  });

  it('are not begun when the time of the call would run out in them', async () => {
    app.wire.handler = () => ({ status: 503, headers: { 'retry-after': '5' } });
    const call = app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', timeout: 4000 });
    await expect(failureOf(call)).resolves.toMatchObject({ name: 'MedplumServerError', status: 503, retryable: true });
    expect(app.events.at(-1)?.attempts).toHaveLength(1);
  });

  it('do not happen with maxRetries: 0', async () => {
    const other = await startMedplumApp({ retry: { maxRetries: 0 } }, { handler: FAULTS['503'] });
    try {
      await failureOf(CALLS.read(other.medplum));
      expect(other.wire.requests).toHaveLength(1);
    } finally {
      await other.close();
    }
  });
});
