import type { ArgumentsHost } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { firstValueFrom, type Observable } from 'rxjs';
import {
  type MedplumError,
  MedplumExceptionFilter,
  MedplumNotFoundError,
  MedplumNotModifiedError,
  MedplumRateLimitError,
  OnBehalfOfRequiredError,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';

const TEXT = 'taint: decorate the handler';

/** What the filter does with an error in this context. Nothing of it may show texts of the error. */
async function answerTo(type: string, error: MedplumError, client: object = {}): Promise<unknown> {
  const host = { getType: () => type, switchToWs: () => ({ getClient: () => client }) } as unknown as ArgumentsHost;
  const filter = new MedplumExceptionFilter({} as HttpAdapterHost);
  try {
    const result = filter.catch(error, host);
    return await (result ? firstValueFrom(result as Observable<unknown>) : undefined);
  } catch (thrown) {
    return thrown;
  }
}

const CASES = [
  [new MedplumNotFoundError(TEXT, { status: 404 }), 404, 'NOT_FOUND', 'There is no such resource.'],
  [new OnBehalfOfRequiredError(TEXT), 500, 'INTERNAL_SERVER_ERROR', 'Internal server error'],
] as const;

let log: CapturedLog;
beforeEach(() => (log = captureLog()));
afterEach(() => log.restore());

describe.each(CASES)('%s', (error, statusCode, code, message) => {
  it('is told to a client of GraphQL with code and status', async () => {
    const thrown = await answerTo('graphql', error);
    expect(thrown).toBeInstanceOf(Error);
    expect((thrown as Error).stack).not.toContain('taint');
    expect((thrown as Error).cause).toBeUndefined();
    expect(thrown).toMatchObject({ message, extensions: { code, http: { status: statusCode } } });
  });

  it('is told to a client of a microservice with code and status', async () => {
    expect(await answerTo('rpc', error)).toEqual({ status: 'error', code, statusCode, message });
  });

  it('is told to clients of both kinds of sockets as Nest does it', async () => {
    const sent: unknown[] = [];
    const data = { status: 'error', code, statusCode, message };
    const emit = (...args: unknown[]) => sent.push(args);
    await answerTo('ws', error, { readyState: 1, emit, send: (text: string) => sent.push(JSON.parse(text)) });
    await answerTo('ws', error, { emit });
    expect(sent).toEqual([{ event: 'exception', data }, ['exception', data]]);
  });

  it('is logged when the app has to be mended', async () => {
    await answerTo('graphql', error);
    expect(log.text('error').includes('taint')).toBe(statusCode === 500);
  });

  it('is logged for a microservice, because an event has nobody to answer to', async () => {
    await answerTo('rpc', error);
    expect(log.text(statusCode === 500 ? 'error' : 'warn')).toContain('taint');
  });
});

it('says when to try again, and has no HTTP status without a body', async () => {
  const limited = await answerTo('graphql', new MedplumRateLimitError(TEXT, { retryAfter: 1500 }));
  const { http } = (limited as { extensions: { http: { status: number; headers: Map<string, string> } } }).extensions;
  expect([...http.headers]).toEqual([['retry-after', '2']]);
  expect(JSON.stringify(http)).toBe('{"status":503,"headers":{"retry-after":"2"}}');
  const unchanged = await answerTo('graphql', new MedplumNotModifiedError(TEXT));
  expect(unchanged).toMatchObject({ extensions: { code: 'NOT_MODIFIED' } });
  expect(unchanged).not.toHaveProperty('extensions.http');
});
