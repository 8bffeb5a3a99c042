import type { Fault } from '../../support/fault-matrix';
import { FAULTS } from '../../support/wire-faults';
import { gate } from '../../support/gate';
import { all, answer, ARRIVES_WITHIN, expected, TEXT, UNREACHABLE } from './expected';

/** An app that shuts down. */
export const SHUTDOWN: readonly Fault[] = [
  {
    name: 'shutdown under load',
    options: { shutdownTimeout: ARRIVES_WITHIN },
    play: async ({ app, call }) => {
      const { open, opened } = gate();
      app.wire.handler = ({ onBehalfOf }) =>
        /m-[12]$/.test(onBehalfOf ?? '') ? opened.then(() => ({ body: TEXT })) : undefined;
      for (let i = 0; i < 4; i++) {
        void call();
      }
      await app.wire.received(4);
      const closed = app.module.close();
      open();
      await closed;
    },
    attempts: ['200', '200', 'SHUTDOWN', 'SHUTDOWN'],
    expected: expected(
      '4 requests: 2 × answered, none + 2 × MedplumConnectionError, none, retryable',
      '4 requests: 2 × answered, happened + 2 × MedplumConnectionError, unknown, retryable',
      '4 requests: 2 × answered, happened + 2 × MedplumConnectionError, unknown',
    ),
  },
  {
    name: 'shutdown before a connection is free',
    options: { shutdownTimeout: 60, pool: { connections: 1 } },
    handler: () => FAULTS.hang,
    play: async ({ app, call }) => {
      void call();
      void call();
      await app.wire.received(1);
    },
    attempts: ['SHUTDOWN', 'SHUTDOWN'],
    unsent: 1,
    expected: expected(
      '1 request: 2 × MedplumConnectionError, none, retryable',
      '1 request: MedplumConnectionError, unknown, retryable + MedplumConnectionError, none, retryable',
      '1 request: MedplumConnectionError, unknown + MedplumConnectionError, none, retryable',
    ),
  },
  {
    name: 'shutdown between two attempts',
    options: { shutdownTimeout: 60 },
    handler: () => answer(429, { ratelimit: '"fhirInteractions";r=0;t=9' }),
    play: async ({ app, call }) => {
      void call();
      await app.wire.received(1);
    },
    attempts: ['429'],
    error: { retryAfter: 9_000 },
    expected: all('1 request: MedplumRateLimitError 429, none, retryable'),
  },
  {
    name: 'call after the shutdown',
    play: async ({ app, call }) => {
      await app.module.close();
      await call();
    },
    attempts: [],
    unheard: true,
    expected: UNREACHABLE,
  },
];
