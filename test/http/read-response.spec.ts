import type { Deadline } from '../../lib/http/deadline';
import { asRequestId, readResponse } from '../../lib/http/read-response';
import type { TransportRequest } from '../../lib/http/transport.types';
import { failureOf } from '../support/failure-of';

const JSON_TYPE = 'application/fhir+json; charset=utf-8';

/** Reads a response; only streams use the deadline. */
function read(text: string, type: string | undefined, request: Partial<TransportRequest> = {}, status = 200) {
  const given = { call: 'GET /fhir/R4/Patient/{id}', repeatability: 'safe', ...request } as TransportRequest;
  const header = (name: string) => (name === 'content-type' ? type : undefined);
  return readResponse(given, { status, text, header }, undefined as unknown as Deadline).body;
}

describe('The body of a response', () => {
  it('is a JSON object', () => {
    expect(read('{"a":1}', JSON_TYPE)).toEqual({ a: 1 });
    // Some proxies change the type.
    expect(read('{"a":1}', 'text/plain')).toEqual({ a: 1 });
    expect(read('{"a":1}', undefined)).toEqual({ a: 1 });
  });

  it.each([
    ['text', 'plain', 'text/plain', 'plain'],
    ['text that looks like JSON', '{"a":1}', 'text/plain', '{"a":1}'],
    ['text of a type whose name begins alike', '5', 'application/jsonl', '5'],
    ['text without a type', '5', undefined, '5'],
    ['a list', '[1]', 'application/json', [1]],
    ['a number', '5', 'application/json', 5],
    ['null', 'null', 'application/problem+json', null],
    ['nothing', '', 'text/plain', undefined],
  ])('may be %s where anything may come', (_what, text, type, expected) => {
    expect(read(text, type, { responseKind: 'any' })).toEqual(expected);
  });

  it('may be empty after a write, and is not read with a 304', () => {
    expect(read('', JSON_TYPE, { repeatability: 'unsafe' })).toBeUndefined();
    expect(read('no JSON', JSON_TYPE, {}, 304)).toBeUndefined();
  });

  it.each<readonly [string, string, string, TransportRequest['repeatability'], string]>([
    ['empty', '', JSON_TYPE, 'safe', 'none'],
    ['a list', '[]', JSON_TYPE, 'safe', 'none'],
    ['null', 'null', JSON_TYPE, 'safe', 'none'],
    ['a number', '5', JSON_TYPE, 'unsafe', 'happened'],
    ['cut off', '{"a":', JSON_TYPE, 'once-by-identifier', 'happened'],
    // It may be that of a proxy.
    ['a page', '<h1>Welcome</h1>', 'text/html', 'unsafe', 'unknown'],
  ])('must be an object: one that is %s is an error', async (_what, text, type, repeatability, effect) => {
    const failure = failureOf((async () => read(text, type, { repeatability }))());
    await expect(failure).resolves.toMatchObject({ code: 'MEDPLUM_PROTOCOL', status: 200, effect, retryable: false });
  });
});

describe('The id of a request', () => {
  it.each(['5d8a', '00000000-0000-4000-8000-000000000001', 'a:b.c_d', 'x'.repeat(128)])('may be %j', (id) => {
    expect(asRequestId(id)).toBe(id);
  });

  it.each([undefined, null, 5, '', 'a b', 'a\n', '\na', 'x'.repeat(129), '<b>'])('is not %j', (id) => {
    expect(asRequestId(id)).toBeUndefined();
  });
});
