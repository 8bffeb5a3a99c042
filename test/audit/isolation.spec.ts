import * as fc from 'fast-check';
import { type RequestEvent } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type Fault, FAULTS } from '../support/wire-faults';

/** Faults that end an attempt at once. */
const QUICK: readonly Fault[] = [
  'reset before headers',
  'truncated body',
  '429',
  '409 40001',
  '409',
  '500',
  '503',
  'no JSON',
];

/** One call: its identity, how it is set, what the call does, and how its attempts end. */
const call = fc.record({
  who: fc.constantFrom('a', 'b', 'c', 'd', 'client'),
  how: fc.constantFrom('scope', 'option', 'nested'),
  write: fc.boolean(),
  faults: fc.array(fc.constantFrom(...QUICK), { maxLength: 3 }),
});

/** The header that this call sends. */
const identityOf = (who: string) => (who === 'client' ? undefined : `ProjectMembership/${who}`);
/** The headers of a call, from its event. */
const sentBy = (event: RequestEvent) => event.attempts.map(({ onBehalfOf }) => onBehalfOf);
/** Sorts lists, so that their order does not matter. */
const count = (lists: readonly (readonly unknown[])[]) => lists.map((list) => JSON.stringify(list)).toSorted();

describe('Many calls at once', () => {
  let app: MedplumApp;

  beforeAll(
    async () => (app = await startMedplumApp({ retry: { maxRetries: 2, minTimeout: 1 }, pool: { connections: 4 } })),
  );
  afterAll(() => app.close());

  it('publish one event each, whose attempts match what arrived', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 40 }), async (calls) => {
        app.events.length = 0;
        app.wire.requests.length = 0;
        const seen = new Map<string, number>();
        app.wire.handler = (request, response) => {
          const key = new URL(request.path, app.wire.baseUrl).searchParams.get('key') ?? request.headers['x-key'];
          const attempt = seen.get(String(key)) ?? 0;
          seen.set(String(key), attempt + 1);
          const fault = calls[Number(key)]?.faults[attempt];
          return fault ? FAULTS[fault](request, response) : { body: { resourceType: 'Patient', id: '1' } };
        };
        await Promise.all(
          calls.map(({ who, how, write }, i) => {
            const { medplum } = app;
            const make = (option: object) =>
              write
                ? medplum.createResource({ resourceType: 'Patient' }, { ...option, headers: { 'x-key': String(i) } })
                : medplum.search('Patient', `key=${i}`, { ...option, headers: { 'x-key': String(i) } });
            const run = () => {
              if (who === 'client') {
                return medplum.asClientApplication(() => make({}));
              }
              if (how === 'option') {
                return medplum.onBehalfOf('other', () => make({ onBehalfOf: who }));
              }
              return how === 'scope'
                ? medplum.onBehalfOf(who, () => make({}))
                : medplum.onBehalfOf('other', () => medplum.onBehalfOf(who, () => make({})));
            };
            return run().catch(() => undefined);
          }),
        );

        expect(app.events).toHaveLength(calls.length);
        // For each call: what arrived, and what the event says was sent.
        const arrived = calls.map((_, i) =>
          app.wire.requests.filter(({ headers }) => headers['x-key'] === String(i)).map(({ onBehalfOf }) => onBehalfOf),
        );
        calls.forEach(({ who }, i) => {
          expect(new Set(arrived[i])).toEqual(new Set([identityOf(who)]));
        });
        expect(count(app.events.map(sentBy))).toEqual(count(arrived.map((group) => group.map((who) => who ?? null))));
        for (const event of app.events) {
          expect(new Set(sentBy(event))).toEqual(new Set([event.onBehalfOf ?? null]));
        }
        expect(new Set(app.events.map(({ id }) => id)).size).toBe(calls.length);
      }),
      { numRuns: 30 },
    );
  });
});
