import { WsAdapter } from '@nestjs/platform-ws';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { type SocketAnswer, type SocketClient, testGateway } from './gateway';

declare const NEST_MAJOR: number;

async function connect(url: string, user?: string): Promise<SocketClient> {
  const headers = user === undefined ? {} : { 'x-test-user': user };
  const socket = new WebSocket(url.replace('http', 'ws'), { headers });
  const waiting: ((answer: SocketAnswer) => void)[] = [];
  socket.on('message', (text: Buffer) => waiting.shift()?.(JSON.parse(text.toString()) as SocketAnswer));
  await once(socket, 'open');
  const send = (event: string, data: object): Promise<SocketAnswer> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      socket.send(JSON.stringify({ event, data }));
    });
  return {
    send,
    sendAll: async (event, messages) =>
      (await Promise.all(messages.map((message) => send(event, message)))).map(({ data }) => data),
    close: () => socket.terminate(),
  };
}

describe('A gateway of ws', () => {
  testGateway({
    adapter: (app) => new WsAdapter(app),
    connect,
    userOf: (_client, request) => (request as IncomingMessage).headers['x-test-user'] as string | undefined,
    unfiltered:
      NEST_MAJOR === 11
        ? undefined
        : {
            status: 'error',
            message: 'Internal server error',
            cause: { pattern: 'undecorated', data: { key: 'user1.0' } },
          },
  });
});
