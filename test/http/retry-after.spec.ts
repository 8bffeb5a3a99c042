import * as fc from 'fast-check';
import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { asOperationOutcome } from '../../lib/http/response-error';
import { retryAfter } from '../../lib/http/retry-after';

const NOTHING: Readonly<Record<string, string>> = {};

const wait = (headers: Readonly<Record<string, string>>, outcome?: object): number | undefined =>
  retryAfter((name) => headers[name], outcome as OperationOutcome | undefined);

/** As the server writes it: the limiter's state is JSON inside a string. */
const throttled = (diagnostics: unknown, extension?: unknown): object => ({
  resourceType: 'OperationOutcome',
  id: 'too-many-requests',
  issue: [{ severity: 'error', code: 'throttled', details: { text: 'Too Many Requests' }, diagnostics }],
  ...(extension === undefined ? {} : { extension }),
});

const DIAGNOSTICS = JSON.stringify({
  _remainingPoints: 0,
  _msBeforeNext: 59_720,
  _consumedPoints: 300,
  _isFirstInDuration: false,
  limit: 250,
});
const RESET = 'https://medplum.com/fhir/StructureDefinition/rate-limit-reset';

describe('How long the server asks to wait', () => {
  it.each([
    ['two lines, as undici joins them', '"requests";r=59975;t=9, "fhirInteractions";r=0;t=60', 60_000],
    ['one line', '"fhirInteractions";r=0;t=4', 4000],
    ['both used up: the longer one', '"requests";r=0;t=9, "fhirInteractions";r=0;t=3', 9000],
    ['spaces and another order of the parameters', '"requests"; t=7; r=0', 7000],
    ['a reset that is now', '"requests";r=0;t=0', 0],
    ['two of three', '"a";r=0;t=5, "b";r=7;t=60, "c";r=0;t=30', 30_000],
  ])('is told by RateLimit: %s', (_form, header, expected) => {
    expect(wait({ ratelimit: header })).toBe(expected);
  });

  it.each([
    ['nothing is used up', '"requests";r=59998;t=60'],
    ['10 is not 0', '"requests";r=10;t=60'],
    ['nor is 05', '"requests";r=05;t=60'],
    ['no reset', '"requests";r=0'],
    ['other letters', '"requests";xr=0;xt=60'],
    ['nothing', ''],
  ])('is not told by RateLimit: %s', (_form, header) => {
    expect(wait({ ratelimit: header })).toBeUndefined();
  });

  it('is told by _msBeforeNext in the diagnostics', () => {
    expect(wait(NOTHING, throttled(DIAGNOSTICS))).toBe(59_720);
    expect(wait({ ratelimit: '"requests";r=1;t=9' }, throttled(DIAGNOSTICS))).toBe(59_720);
  });

  it('is told by the extension of newer servers, in seconds', () => {
    expect(wait(NOTHING, throttled(undefined, [{ url: 'other' }, { url: RESET, valueInteger: 12 }]))).toBe(12_000);
    expect(wait(NOTHING, throttled(undefined, [{ url: RESET, valueDecimal: 0.5 }]))).toBe(500);
    expect(wait(NOTHING, throttled(undefined, [{ url: RESET, valueUnsignedInt: 0 }]))).toBe(0);
    expect(wait(NOTHING, throttled(undefined, [{ url: RESET, valueInteger: '12' }]))).toBeUndefined();
    expect(wait(NOTHING, throttled(undefined, [{ url: RESET, valueInteger: -1 }]))).toBeUndefined();
  });

  it('is told by Retry-After of a proxy: seconds', () => {
    expect(wait({ 'retry-after': '120' })).toBe(120_000);
    expect(wait({ 'retry-after': ' 3 ' })).toBe(3000);
    expect(wait({ 'retry-after': '0' })).toBe(0);
  });

  it('is told by Retry-After of a proxy: a date', () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    expect(wait({ 'retry-after': date })).toBeGreaterThan(50_000);
    expect(wait({ 'retry-after': date })).toBeLessThanOrEqual(60_000);
    expect(wait({ 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' })).toBe(0);
    // RFC 850, which recipients have to read as well.
    expect(wait({ 'retry-after': 'Sunday, 06-Nov-94 08:49:37 GMT' })).toBe(0);
  });

  it.each([
    '',
    'soon',
    'in 1 minute',
    '-5',
    '2.5',
    '1e3',
    'foo 1',
    '5, 10',
    '99999999999999999999',
    'not before Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT (about)',
  ])('is not told by Retry-After: %j', (value) => {
    expect(wait({ 'retry-after': value })).toBeUndefined();
  });

  it('is the word of Medplum before that of a proxy', () => {
    const headers = { ratelimit: '"requests";r=0;t=4', 'retry-after': '120' };
    expect(wait(headers, throttled(DIAGNOSTICS))).toBe(4000);
    expect(wait({ 'retry-after': '120' }, throttled(DIAGNOSTICS))).toBe(59_720);
  });

  it('never fails over garbage, and is a time or nothing', () => {
    const garbage = fc.oneof(fc.string(), fc.stringMatching(/^"\w*"(;[rt]=\d{0,30}){0,3}$/), fc.constant(undefined));
    const anything = fc.jsonValue();
    fc.assert(
      fc.property(garbage, garbage, anything, anything, anything, (rateLimit, retry, diagnostics, extension, issue) => {
        const headers: Record<string, string | undefined> = { ratelimit: rateLimit, 'retry-after': retry };
        const bodies = [
          throttled(diagnostics, extension),
          { ...throttled(diagnostics, [extension]), issue },
          { ...throttled(diagnostics, [{ url: RESET, valueInteger: extension }]), issue: [issue] },
        ];
        for (const body of bodies) {
          const result = retryAfter((name) => headers[name], asOperationOutcome(JSON.parse(JSON.stringify(body))));
          expect(result === undefined || result >= 0).toBe(true);
        }
      }),
    );
  });
});
