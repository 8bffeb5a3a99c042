// oxlint-disable unicorn/require-post-message-target-origin -- a thread has no origin
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { delegation } from '../support/delegations';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

const SUPPORT = join(__dirname, '../support');
const SECRET = 'a secret of both sides, 32 bytes or more';
const USERS = Array.from({ length: 10 }, (_, i) => `m${i}`);

interface Other {
  post(message: unknown): void;
  on(listener: (message: object) => void): void;
  /** Tells it to stop, and waits until it has. */
  stop(): Promise<unknown>;
}

/** The ways to run the program elsewhere. */
const START: Readonly<Record<string, (...args: string[]) => Other>> = {
  'a worker thread': (...args) => {
    const worker = new Worker(join(SUPPORT, 'run-typescript.cjs'), {
      argv: [join(SUPPORT, 'delegated-program.ts'), ...args],
    });
    return {
      post: (message) => worker.postMessage(message),
      on: (listener) => worker.on('message', listener),
      stop: () => {
        const ended = once(worker, 'exit');
        worker.postMessage('stop');
        return ended;
      },
    };
  },
  'a child process': (...args) => {
    const child = fork(join(SUPPORT, 'run-typescript.cjs'), [join(SUPPORT, 'delegated-program.ts'), ...args]);
    return {
      post: (message) => child.send(message as object),
      on: (listener) => child.on('message', listener),
      stop: () => {
        const ended = once(child, 'exit');
        child.send('stop');
        return ended;
      },
    };
  },
};

describe.each(Object.entries(START))('%s', (_name, start) => {
  let app: MedplumApp;
  let other: Other;
  let messages: object[];
  let arrived: () => void;

  /** Resolves when so many messages have arrived, besides the one that it is ready. */
  const received = async (count: number): Promise<void> => {
    while (messages.length <= count) {
      await new Promise<void>((resolve) => (arrived = resolve));
    }
  };

  beforeEach(async () => {
    app = await startMedplumApp({ delegation: delegation({ keys: [{ kid: 'k1', secret: SECRET }] }) });
    other = start(app.wire.baseUrl, SECRET);
    messages = [];
    arrived = () => undefined;
    other.on((message) => {
      messages.push(message);
      arrived();
    });
    await received(0);
  }, 60_000);

  afterEach(async () => {
    await other.stop();
    await app.close();
  });

  it('acts as the user of each message, and of no other', async () => {
    const send = (user: string): Promise<void> =>
      app.medplum.onBehalfOf(user, async () => {
        other.post({ token: await app.medplum.delegate({ audience: 'worker', expiresIn: 60_000 }), patient: user });
      });
    await Promise.all(USERS.map(send));
    await received(USERS.length);
    const expected = USERS.map((user) => ({ patient: user, as: `ProjectMembership/${user}` }));
    expect(messages.slice(1)).toEqual(expect.arrayContaining(expected));
    const reads = app.wire.requests.filter(({ path }) => path.includes('/Patient/'));
    expect(reads).toHaveLength(USERS.length);
    for (const { path, onBehalfOf } of reads) {
      expect(onBehalfOf).toBe(`ProjectMembership/${path.split('/').pop()}`);
    }
  }, 60_000);

  it('does nothing for a token that was used, forged or made for somebody else', async () => {
    const mint = (audience: string) =>
      app.medplum.onBehalfOf('m1', () => app.medplum.delegate({ audience, expiresIn: 60_000 }));
    const token = await mint('worker');
    other.post({ token, patient: '1' });
    await received(1);
    for (const wrong of [token, `${token.slice(0, -8)}AAAAAAAA`, await mint('another worker'), '']) {
      other.post({ token: wrong, patient: '2' });
    }
    await received(5);
    expect(messages.slice(2)).toEqual(
      Array.from({ length: 4 }, () => ({ patient: '2', refused: 'MEDPLUM_DELEGATION' })),
    );
    expect(app.wire.requests.filter(({ path }) => path.endsWith('/Patient/2'))).toEqual([]);
  }, 60_000);
});

it('the scope itself crosses no such border, which is why a token has to', async () => {
  const worker = new Worker(
    `const { AsyncLocalStorage } = require('node:async_hooks');
     require('node:worker_threads').parentPort.postMessage(String(new AsyncLocalStorage().getStore()));`,
    { eval: true },
  );
  const [store] = (await once(worker, 'message')) as [string];
  expect(store).toBe('undefined');
  await worker.terminate();
});
