import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { CALL_NAMES, type Fault } from '../../support/fault-matrix';
import { WireServer } from '../../support/wire-server';
import { gate } from '../../support/gate';
import { expected, TEXT, UNREACHABLE } from './expected';

/** A server that takes connections and says nothing. */
async function startSilent(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => void socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function closed(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

/** A port at which nobody listens, and nobody can: a connection has it. */
const refused: Fault['around'] = async (cells) => {
  const { server, port } = await startSilent();
  const holder = connect(port, '127.0.0.1');
  try {
    await once(holder, 'connect');
    await cells({ baseUrl: `http://127.0.0.1:${holder.localPort}/` });
  } finally {
    holder.destroy();
    await closed(server);
  }
};

/** No TLS connection comes about. */
const silent: Fault['around'] = async (cells) => {
  const { server, port } = await startSilent();
  try {
    await cells({ baseUrl: `https://127.0.0.1:${port}/` });
  } finally {
    await closed(server);
  }
};

/** A server that speaks no TLS. */
const plain: Fault['around'] = async (cells) => {
  const server = await WireServer.start();
  try {
    await cells({ baseUrl: server.baseUrl.replace('http:', 'https:') });
    expect(server.requests).toHaveLength(0);
  } finally {
    await server.close();
  }
};

/** Names of `.invalid` exist nowhere (RFC 6761), but for resolvers that know every name: they are not asked. */
const unknownHost =
  (code: string): Fault['around'] =>
  async (cells) => {
    const asked: string[] = [];
    const { lookup } = dns;
    const noSuchHost = (host: string, ...rest: unknown[]): void => {
      if (!host.endsWith('.invalid')) {
        Reflect.apply(lookup, dns, [host, ...rest]);
        return;
      }
      asked.push(host);
      const failure = Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: 'getaddrinfo', hostname: host });
      setImmediate(rest.at(-1) as (error: Error) => void, failure);
    };
    const spy = jest.spyOn(dns, 'lookup').mockImplementation(noSuchHost);
    try {
      await cells({ baseUrl: 'https://medplum.invalid/' });
      expect(asked).toHaveLength(3 * CALL_NAMES.length);
    } finally {
      spy.mockRestore();
    }
  };

/** Requests that get no connection. */
export const UNREACHABLE_SERVERS: readonly Fault[] = [
  {
    name: 'DNS: no such host',
    around: unknownHost('ENOTFOUND'),
    attempts: ['ENOTFOUND', 'ENOTFOUND', 'ENOTFOUND'],
    unsent: 3,
    expected: UNREACHABLE,
  },
  {
    name: 'DNS: no answer',
    around: unknownHost('EAI_AGAIN'),
    attempts: ['EAI_AGAIN', 'EAI_AGAIN', 'EAI_AGAIN'],
    unsent: 3,
    expected: UNREACHABLE,
  },
  {
    name: 'connection refused',
    around: refused,
    attempts: ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'],
    unsent: 3,
    expected: UNREACHABLE,
  },
  {
    name: 'no TLS at the other end',
    around: plain,
    attempts: [/SSL/, /SSL/, /SSL/],
    unsent: 3,
    expected: UNREACHABLE,
  },
  {
    name: 'hang while connecting',
    options: { connectTimeout: 60, retry: { maxRetries: 1 } },
    around: silent,
    attempts: ['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT'],
    unsent: 2,
    expected: UNREACHABLE,
  },
  {
    name: 'no connection free, until the timeout',
    options: { pool: { connections: 1 } },
    play: async ({ app, call }) => {
      const { open, opened } = gate();
      app.wire.handler = () => opened.then(() => ({ body: TEXT }));
      const first = call();
      await app.wire.received(1);
      await call({ timeout: 60 });
      open();
      await first;
    },
    attempts: ['200', 'TIMEOUT'],
    unsent: 1,
    error: { phase: 'total' },
    expected: expected(
      '1 request: answered, none + MedplumTimeoutError, none, retryable',
      '1 request: answered, happened + MedplumTimeoutError, none, retryable',
      '1 request: answered, happened + MedplumTimeoutError, none, retryable',
    ),
  },
];
