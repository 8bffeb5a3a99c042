import { batchByIdentity, type IdentityKey, OnBehalfOfRequiredError } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { resourceAsked, type WireRequest } from '../support/wire-server';

interface PatientKey extends IdentityKey {
  readonly id: string;
}

let app: MedplumApp;

afterEach(async () => {
  await app?.close();
});

/** What `DataLoader` does, without its cache: collects the keys of one moment, in the scope of whoever came first. */
function loaderOf<K, V>(load: (keys: readonly K[]) => Promise<(V | Error)[]>) {
  let waiting: { key: K; resolve: (value: V) => void; reject: (error: Error) => void }[] = [];
  return (key: K) =>
    new Promise<V>((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      if (waiting.length === 1) {
        setTimeout(() => {
          const batch = waiting;
          waiting = [];
          void load(batch.map((one) => one.key)).then((values) =>
            values.forEach((value, n) => (value instanceof Error ? batch[n]?.reject(value) : batch[n]?.resolve(value))),
          );
        }, 2);
      }
    });
}

it('A loader that all users share calls for each of them as that user', async () => {
  app = await startMedplumApp(
    {},
    { handler: (request: WireRequest) => ({ delay: Math.random() * 5, body: resourceAsked(request) }) },
  );
  const { medplum, wire } = app;
  const load = loaderOf((keys: readonly PatientKey[]) =>
    batchByIdentity(keys, (own, onBehalfOf) =>
      Promise.all(own.map(({ id }) => medplum.readResource('Patient', id, { onBehalfOf }).then((one) => one.id))),
    ),
  );
  const users = Array.from({ length: 60 }, (_, n) => `user${n % 20}`);
  const loaded = await Promise.all(
    users.map(async (user, n) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
      return medplum.onBehalfOf(user, () => load({ as: medplum.currentOnBehalfOf, id: `${user}-${n}` }));
    }),
  );
  expect(loaded).toEqual(users.map((user, n) => `${user}-${n}`));
  expect(wire.requests).toHaveLength(users.length);
  for (const { path, onBehalfOf } of wire.requests) {
    expect(onBehalfOf).toBe(`ProjectMembership/${path.split('/').pop()?.split('-')[0]}`);
  }
});

it('The failure of one identity, a wrong number of values and a key without an identity harm nobody else', async () => {
  const keys = (['Patient/a', undefined, 'Patient/b', 'Patient/c', 'Patient/a'] as const).map((as) => ({ as }));
  const down = new Error('down');
  const values = await batchByIdentity(keys, async (own, onBehalfOf) => {
    if (onBehalfOf === 'Patient/b') {
      throw down;
    }
    return onBehalfOf === 'Patient/c' ? [] : own.map((_key, n) => `${onBehalfOf} ${n}`);
  });
  expect(values).toEqual([
    'Patient/a 0',
    expect.any(OnBehalfOfRequiredError),
    down,
    expect.any(RangeError),
    'Patient/a 1',
  ]);
});
