import { Controller, type INestApplication, Logger } from '@nestjs/common';
import { type ClientProxy, ClientProxyFactory, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { createServer, type AddressInfo } from 'node:net';
import { defer, from, firstValueFrom, type Observable } from 'rxjs';
import { CurrentOnBehalfOf, MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { seededRandom } from '../support/seeded-random';
import { WireServer, resourceAsked, type WireRequest } from '../support/wire-server';

interface Message {
  readonly membership?: string;
  readonly patient: string;
}

@Controller()
class MessagesController {
  constructor(private readonly medplum: MedplumService) {}

  @MessagePattern('read')
  @OnBehalfOf((context) => context.switchToRpc().getData<Message>().membership)
  async read(@Payload() { patient }: Message, @CurrentOnBehalfOf() who: string) {
    await this.medplum.readResource('Patient', patient);
    return who;
  }

  @MessagePattern('observe')
  @OnBehalfOf((context) => context.switchToRpc().getData<Message>().membership)
  observe(@Payload() { patient }: Message): Observable<string | undefined> {
    return defer(() => from(this.medplum.readResource('Patient', patient).then(() => this.medplum.currentOnBehalfOf)));
  }

  @MessagePattern('undecorated')
  undecorated(@Payload() { patient }: Message) {
    return this.medplum.readResource('Patient', patient);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const random = seededRandom();

describe('Messages over TCP, in a hybrid app without inheritAppConfig', () => {
  let wire: WireServer;
  let app: INestApplication;
  let client: ClientProxy;

  const send = (pattern: string, message: Message) => firstValueFrom(client.send<unknown, Message>(pattern, message));

  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    jest.spyOn(Logger.prototype, 'error').mockImplementation();
    wire = await WireServer.start();
    wire.handler = (request: WireRequest) => ({ delay: random() * 5, body: resourceAsked(request) });
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options())],
      controllers: [MessagesController],
    }).compile();
    app = module.createNestApplication();
    const options = { host: '127.0.0.1', port: await freePort() };
    app.connectMicroservice({ transport: Transport.TCP, options });
    await app.startAllMicroservices();
    client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    client?.close();
    await closeAll(app, wire);
  });

  it.each(['read', 'observe'])('%s: concurrent messages on one connection keep their identities', async (pattern) => {
    wire.requests.length = 0;
    const users = Array.from({ length: 30 }, (_, n) => `m${n}`);
    expect(await Promise.all(users.map((membership) => send(pattern, { membership, patient: membership })))).toEqual(
      users.map((membership) => `ProjectMembership/${membership}`),
    );
    for (const { path, onBehalfOf } of wire.requests) {
      expect(onBehalfOf).toBe(`ProjectMembership/${path.split('/').pop()}`);
    }
  });

  it.each(['read', 'undecorated'])(
    '%s: a message without an identity is refused, and nothing is sent',
    async (pattern) => {
      wire.requests.length = 0;
      await expect(send(pattern, { patient: '1' })).rejects.toBeDefined();
      expect(wire.requests).toEqual([]);
    },
  );
});
