import { Transport } from '@nestjs/microservices';
import type { AddressInfo, Server } from 'node:net';
import { testRpc } from './rpc';

const host = '127.0.0.1';

describe('Microservices over TCP', () => {
  testRpc({
    server: () => ({ transport: Transport.TCP, options: { host, port: 0 } }),
    client: (server) => {
      const { port } = server.unwrap<Server>().address() as AddressInfo;
      return { transport: Transport.TCP, options: { host, port } };
    },
  });
});
