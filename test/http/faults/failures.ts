import type { CallName, Fault } from '../../support/fault-matrix';
import { FAULTS } from '../../support/wire-faults';
import { all, answer, BROKE, expected, html, inTurn, ok, twice } from './expected';

const inAMinute = { ratelimit: '"fhirInteractions";r=0;t=60' };

/** A gateway does not say how far a write came. */
const gateway = (status: number): Record<CallName, string> =>
  expected(
    `3 requests: MedplumServerError ${status}, none, retryable`,
    `3 requests: MedplumServerError ${status}, unknown, retryable`,
    `1 request: MedplumServerError ${status}, unknown`,
  );

/** Answers that say that something failed, alone and one after the other. */
export const FAILURES: readonly Fault[] = [
  {
    name: '429 storm',
    handler: () => answer(429),
    attempts: ['429', '429', '429'],
    expected: all('3 requests: MedplumRateLimitError 429, none, retryable'),
  },
  {
    name: '429 storm that ends in a minute',
    handler: () => answer(429, inAMinute),
    attempts: ['429'],
    error: { retryAfter: 60_000 },
    expected: all('1 request: MedplumRateLimitError 429, none, retryable'),
  },
  {
    name: '429 storm, retry budget spent',
    options: { retry: { budget: 1 } },
    handler: () => answer(429),
    attempts: ['429', '429'],
    expected: all('2 requests: MedplumRateLimitError 429, none, retryable'),
  },
  {
    name: '429 once',
    handler: () => inTurn(answer(429, { ratelimit: '"fhirInteractions";r=0;t=0' }), ok),
    attempts: ['429', '200'],
    expected: expected(
      '2 requests: answered, none',
      '2 requests: answered, happened',
      '2 requests: answered, happened',
    ),
  },
  {
    name: '409/40001 that lasts',
    handler: () => FAULTS['409 40001'],
    attempts: ['409', '409', '409'],
    expected: all('3 requests: MedplumConflictError 409, none, retryable'),
  },
  {
    name: 'flapping 503',
    handler: () => {
      let requests = 0;
      return (request, response) => (requests++ % 2 === 0 ? answer(503) : ok)(request, response);
    },
    play: twice,
    attempts: ['503', '200', '503', '200'],
    expected: expected(
      '4 requests: 2 × answered, none',
      '4 requests: 2 × answered, happened',
      '2 requests: MedplumServerError 503, unknown + answered, happened',
    ),
  },
  { name: '503', handler: () => answer(503), attempts: ['503', '503', '503'], expected: gateway(503) },
  { name: '502 as HTML', handler: () => html(502), attempts: ['502', '502', '502'], expected: gateway(502) },
  { name: '504', handler: () => FAULTS['504'], attempts: ['504', '504', '504'], expected: gateway(504) },
  {
    name: '500',
    handler: () => answer(500),
    attempts: ['500'],
    expected: expected(
      '1 request: MedplumServerError 500, none',
      '1 request: MedplumServerError 500, unknown',
      '1 request: MedplumServerError 500, unknown',
    ),
  },

  ...(
    [
      [404, 'MedplumNotFoundError'],
      [410, 'MedplumGoneError'],
      [412, 'MedplumPreconditionFailedError'],
    ] as const
  ).map(([status, error]) => ({
    name: `reset, then ${status}`,
    handler: () => inTurn(FAULTS['reset before headers'], answer(status)),
    attempts: [BROKE, `${status}`],
    expected: expected(
      `2 requests: ${error} ${status}, none`,
      `2 requests: UnknownEffectError ${status}, unknown`,
      '1 request: MedplumConnectionError, unknown',
    ),
  })),
  {
    name: '503, then 412',
    handler: () => inTurn(answer(503), answer(412)),
    attempts: ['503', '412'],
    expected: expected(
      '2 requests: MedplumPreconditionFailedError 412, none',
      '2 requests: UnknownEffectError 412, unknown',
      '1 request: MedplumServerError 503, unknown',
    ),
  },
  {
    name: '429, then 412',
    handler: () => inTurn(answer(429), answer(412)),
    attempts: ['429', '412'],
    expected: all('2 requests: MedplumPreconditionFailedError 412, none'),
  },
];
