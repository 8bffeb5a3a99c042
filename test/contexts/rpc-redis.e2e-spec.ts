import { Transport } from '@nestjs/microservices';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';
import { testRpc } from './rpc';

describeWithRedis('Microservices over Redis', () => {
  let redis: TestRedis | undefined;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis?.close();
  });

  const server = () => ({ transport: Transport.REDIS as const, options: { ...redis?.address } });

  testRpc({ server, client: server });
});
