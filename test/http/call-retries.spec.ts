import { CallRetries } from '../../lib/http/call-retries';
import type { Deadline } from '../../lib/http/deadline';
import { NO_CREDENTIALS } from '../../lib/http/credentials';
import type { TransportOptions, TransportRequest } from '../../lib/http/transport.types';
import { WireFailure, type WireResponse } from '../../lib/http/wire';
import { failureOf } from '../support/failure-of';

const RETRY = { maxRetries: 10, minTimeout: 100, maxTimeout: 1_000, budget: 100 };

/** What a call does after a failed attempt, with waits that take no time. */
function callOf(request: Partial<TransportRequest> = {}, remaining = 60_000) {
  const waits: number[] = [];
  const deadline = {
    remaining,
    sleep: (ms: number) => Promise.resolve(waits.push(ms) > 0),
    race: <T>(work: Promise<T>) => work,
  };
  const retries = new CallRetries(
    {
      method: 'GET',
      path: '',
      call: 'GET /fhir/R4/Patient/{id}',
      headers: {},
      repeatability: 'safe',
      onBehalfOf: undefined,
      extended: false,
      timeout: 60_000,
      ...request,
    },
    { credentials: NO_CREDENTIALS, retry: RETRY } as unknown as TransportOptions,
    deadline as unknown as Deadline,
    [],
    { take: () => true },
  );
  return { retries, waits };
}

const response = (status: number, headers: Readonly<Record<string, string>> = {}): WireResponse => ({
  status,
  text: '',
  header: (name) => headers[name],
});

describe('The wait before an attempt', () => {
  beforeEach(() => jest.spyOn(Math, 'random').mockReturnValue(0.5));
  afterEach(() => jest.restoreAllMocks());

  it('is drawn from a time that doubles with each retry, up to maxTimeout', async () => {
    const { retries, waits } = callOf();
    for (let attempt = 0; attempt < 6; attempt++) {
      await retries.afterResponse(response(503), undefined);
    }
    expect(waits).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('is as long as the server asks, and a little longer, so that not all clients come back at once', async () => {
    const { retries, waits } = callOf({ retry: { maxTimeout: 5_000 } });
    await retries.afterResponse(response(503, { 'retry-after': '3' }), undefined);
    expect(waits).toEqual([3_050]);
  });

  it('may be maxTimeout if the server asks for that, and is not begun if it asks for more', async () => {
    const { retries, waits } = callOf();
    await retries.afterResponse(response(429, { 'retry-after': '1' }), undefined);
    expect(waits).toEqual([1_050]);
    const longer = retries.afterResponse(response(429, { 'retry-after': '2' }), undefined);
    await expect(failureOf(longer)).resolves.toMatchObject({ retryAfter: 2_000, retryable: true });
    expect(waits).toHaveLength(1);
  });

  it('is not begun when it would take all the time that is left', async () => {
    const enough = callOf({}, 51);
    await enough.retries.afterResponse(response(503), undefined);
    expect(enough.waits).toEqual([50]);
    const tooLittle = callOf({}, 50);
    await failureOf(tooLittle.retries.afterResponse(response(503), undefined));
    expect(tooLittle.waits).toEqual([]);
  });
});

describe('After a response that broke off, a write', () => {
  it.each<readonly [number | undefined, string, string]>([
    [undefined, 'unknown', 'no status line arrived'],
    [100, 'unknown', 'the server has not decided'],
    [200, 'happened', 'the server did it'],
    [299, 'happened', 'the server did it'],
    [300, 'none', 'the server did something else instead'],
    [303, 'unknown', 'the result is elsewhere, so it may have been done'],
    [404, 'none', 'the server refused it'],
    [499, 'none', 'the server refused it'],
    [500, 'unknown', 'the server does not say how far it came'],
  ])('with status %s has the effect %s: %s', async (status, effect) => {
    const { retries } = callOf({ method: 'POST', repeatability: 'unsafe' });
    const failure = new WireFailure('ECONNRESET', true, status, undefined);
    await expect(failureOf(retries.afterFailure(failure))).resolves.toMatchObject({ effect });
  });
});
