import { IoAdapter } from '@nestjs/platform-socket.io';
import { once } from 'node:events';
import { io } from 'socket.io-client';
import { type SocketAnswer, type SocketClient, testGateway } from './gateway';

interface IoClient extends SocketClient {
  acknowledged(event: string, data: object): Promise<unknown>;
}

async function connect(url: string, user?: string): Promise<IoClient> {
  const { origin, pathname } = new URL(url);
  const socket = io(origin, {
    path: pathname === '/' ? '/socket.io' : pathname,
    transports: ['websocket'],
    auth: { user },
    forceNew: true,
    reconnection: false,
  });
  const waiting: ((answer: SocketAnswer) => void)[] = [];
  socket.onAny((event: string, data: unknown) => waiting.shift()?.({ event, data }));
  await once(socket as never, 'connect');
  const send = (event: string, data: object): Promise<SocketAnswer> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      socket.emit(event, data);
    });
  return {
    send,
    sendAll: async (event, messages) =>
      (await Promise.all(messages.map((message) => send(event, message)))).map(({ data }) => data),
    close: () => void socket.disconnect(),
    acknowledged: (event, data) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        socket.emit(event, data, resolve);
      }),
  };
}

describe('A gateway of Socket.IO', () => {
  testGateway({
    adapter: (app) => new IoAdapter(app),
    connect,
    acknowledged: (client, event, data) => (client as IoClient).acknowledged(event, data),
    userOf: (client) => (client as { handshake: { auth: { user?: string } } }).handshake.auth.user,
    unfiltered: {
      status: 'error',
      message: 'Internal server error',
      cause: { pattern: 'undecorated', data: { key: 'user1.0' } },
    },
  });
});
