import { MedplumBadRequestError, type MedplumRequestOptions } from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let app: MedplumApp;

beforeAll(async () => (app = await startMedplumApp()));
beforeEach(() => (app.wire.requests.length = 0));
afterAll(() => app.close());

const read = (options: object | null | undefined) =>
  app.medplum.readResource('Patient', '1', options as MedplumRequestOptions);

describe('The options of a call', () => {
  const onBehalfOf = 'm-1';

  it.each<readonly [string, object]>([
    ['the shortest timeout', { timeout: 1_000 }],
    ['the longest timeout', { timeout: 2_147_483_647 }],
    ['a signal', { signal: new AbortController().signal }],
    ['no retries', { retry: { maxRetries: 0 } }],
    ['every retry option', { retry: { maxRetries: 1, minTimeout: 1, maxTimeout: 2_147_483_647 } }],
    ['no retry option at all', { retry: {} }],
    ['options that are undefined', { timeout: undefined, signal: undefined, retry: undefined, headers: undefined }],
  ])('may have %s', async (_what, options) => {
    await expect(read({ onBehalfOf, ...options })).resolves.toMatchObject({ id: '1' });
  });

  it.each<readonly [string, object | null | string, RegExp]>([
    ['null', null, /must be an object/],
    ['text', 'm-1', /must be an object/],
    [
      'a misspelt key',
      { onBehalfOff: 'm-1' },
      /onBehalfOff.*onBehalfOf, signal, timeout, retry, headers, batchReads\)/,
    ],
    ['the key of another method', { onBehalfOf, ifMatch: true }, /ifMatch is not an option of this call/],
    ['an inherited key', Object.create({ as: 'm-1' }) as object, /is not an option of this call/],
    ['no time', { onBehalfOf, timeout: 0 }, /timeout option/],
    ['a time in words', { onBehalfOf, timeout: '1s' }, /timeout option/],
    ['too much time', { onBehalfOf, timeout: 2_147_483_648 }, /timeout option/],
    ['a signal that is none', { onBehalfOf, signal: new EventTarget() }, /signal option/],
    ['an empty list of retries', { onBehalfOf, retry: [] }, /retry option/],
    ['null for retries', { onBehalfOf, retry: null }, /retry option/],
    ['a number of retries', { onBehalfOf, retry: 3 }, /retry option/],
    ['fewer than no retries', { onBehalfOf, retry: { maxRetries: -1 } }, /retry option/],
    ['half a retry', { onBehalfOf, retry: { maxRetries: 1.5 } }, /retry option/],
    ['retries in words', { onBehalfOf, retry: { maxRetries: '1' } }, /retry option/],
    ['too many retries', { onBehalfOf, retry: { maxRetries: 2_147_483_648 } }, /retry option/],
    ['no choice of batches', { onBehalfOf, batchReads: 'yes' }, /batchReads option/],
    ['no wait', { onBehalfOf, retry: { minTimeout: 0 } }, /retry option/],
    ['no longest wait', { onBehalfOf, retry: { maxTimeout: 0 } }, /retry option/],
    ['too long a wait', { onBehalfOf, retry: { maxTimeout: 2_147_483_648 } }, /retry option/],
    ['a misspelt retry option', { onBehalfOf, retry: { maxRetry: 1 } }, /retry option/],
    ['the budget, which is that of the client', { onBehalfOf, retry: { budget: 5 } }, /retry option/],
  ])('may not be, or have, %s: nothing is sent', async (_what, options, message) => {
    const error = await failureOf(read(options as object));
    expect(error).toBeInstanceOf(MedplumBadRequestError);
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ effect: 'none', retryable: false });
    expect(app.wire.requests).toHaveLength(0);
  });

  it('are those of the moment of the call, whatever the caller does with the object afterwards', async () => {
    const options: { onBehalfOf: string; timeout?: number } = { onBehalfOf: 'm-1' };
    const call = read(options);
    options.onBehalfOf = 'm-2';
    options.timeout = -1;
    await call;
    expect(app.wire.identities).toEqual(['ProjectMembership/m-1']);
  });

  it('may be frozen', async () => {
    await expect(read(Object.freeze({ onBehalfOf }))).resolves.toMatchObject({ id: '1' });
  });
});
