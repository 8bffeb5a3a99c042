import { type INestApplication, Logger } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Test } from '@nestjs/testing';
import { once } from 'node:events';
import { from, mergeMap, type Observable, of } from 'rxjs';
import { CurrentOnBehalfOf, MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { WebSocket } from 'ws';
import { closeAll } from '../support/close-all';
import { seededRandom } from '../support/seeded-random';
import { WireServer, resourceAsked, type WireRequest } from '../support/wire-server';

interface Message {
  readonly membership?: string;
  readonly patient: string;
}

@WebSocketGateway()
@OnBehalfOf((context) => context.switchToWs().getData<Message>().membership)
class ChartGateway {
  constructor(private readonly medplum: MedplumService) {}

  @SubscribeMessage('read')
  async read(@MessageBody() { patient }: Message, @CurrentOnBehalfOf() who: string) {
    await this.medplum.readResource('Patient', patient);
    return { event: 'read', data: `${patient} ${who}` };
  }

  @SubscribeMessage('observe')
  observe(@MessageBody() { patient }: Message): Observable<unknown> {
    return of(patient).pipe(
      mergeMap((id) => from(this.medplum.readResource('Patient', id))),
      mergeMap(() => of({ event: 'observe', data: `${patient} ${this.medplum.currentOnBehalfOf}` })),
    );
  }
}

const random = seededRandom();

describe('A gateway with one socket for many messages', () => {
  let wire: WireServer;
  let app: INestApplication;
  let socket: WebSocket;

  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    jest.spyOn(Logger.prototype, 'error').mockImplementation();
    wire = await WireServer.start();
    wire.handler = (request: WireRequest) => ({ delay: random() * 5, body: resourceAsked(request) });
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options())],
      providers: [ChartGateway],
    }).compile();
    app = module.createNestApplication();
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    await once(socket, 'open');
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    socket?.terminate();
    await closeAll(app, wire);
  });

  /** Sends messages at once and collects the answers to those with an identity. */
  async function exchange(event: string, messages: readonly Message[]): Promise<unknown[]> {
    const expected = messages.filter(({ membership }) => membership !== undefined).length;
    const answers: unknown[] = [];
    const all = new Promise<void>((resolve) => {
      socket.on('message', (text: Buffer) => {
        const answer = JSON.parse(text.toString()) as { event: string; data: unknown };
        if (answer.event === event) answers.push(answer.data);
        if (answers.length === expected) resolve();
      });
    });
    for (const data of messages) socket.send(JSON.stringify({ event, data }));
    await all;
    socket.removeAllListeners('message');
    return answers;
  }

  it.each(['read', 'observe'])('%s: each message runs for its own identity', async (event) => {
    wire.requests.length = 0;
    const messages = Array.from({ length: 25 }, (_, n) => ({ membership: `m${n}`, patient: `m${n}` }));
    expect(new Set(await exchange(event, messages))).toEqual(
      new Set(messages.map(({ patient }) => `${patient} ProjectMembership/${patient}`)),
    );
    for (const { path, onBehalfOf } of wire.requests) {
      expect(onBehalfOf).toBe(`ProjectMembership/${path.split('/').pop()}`);
    }
  });

  it('refuses a message without an identity, and serves the next one', async () => {
    wire.requests.length = 0;
    const answers = await exchange('read', [{ patient: 'x' }, { membership: 'a', patient: 'y' }]);
    expect(answers).toEqual(['y ProjectMembership/a']);
    expect(wire.identities).toEqual(['ProjectMembership/a']);
  });
});
