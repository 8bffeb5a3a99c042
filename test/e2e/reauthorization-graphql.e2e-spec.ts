import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import type { INestApplication } from '@nestjs/common';
import { Field, GraphQLModule, ID, ObjectType, Query, Resolver, Subscription } from '@nestjs/graphql';
import { Test } from '@nestjs/testing';
import { type Client, createClient } from 'graphql-ws';
import { MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { WebSocket } from 'ws';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { until } from '../support/until';
import { resourceAsked, WireServer } from '../support/wire-server';

const BART = 'ProjectMembership/bart';

@ObjectType()
class Patient {
  @Field(() => ID)
  id = '';

  @Field(() => String)
  seenBy = '';
}

let who: () => string | undefined;
let asked: number;
/** Whether the generator behind the subscription has ended. */
let hasEnded: boolean;
/** Lets the subscription go on. */
let tick: () => void;

@Resolver(() => Patient)
class PatientsResolver {
  constructor(private readonly medplum: MedplumService) {}

  @Query(() => Patient)
  @OnBehalfOf(() => who())
  patient() {
    return this.medplum.readResource('Patient', '0');
  }

  @Subscription(() => Patient, { resolve: (patient: Patient) => patient })
  @OnBehalfOf(() => {
    asked++;
    return who();
  })
  async *patients() {
    try {
      for (let id = 1; ; id++) {
        await this.medplum.readResource('Patient', `${id}`);
        yield { id: `${id}`, seenBy: this.medplum.currentOnBehalfOf };
        await new Promise<void>((resolve) => (tick = resolve));
      }
    } finally {
      hasEnded = true;
    }
  }
}

describe('A GraphQL subscription', () => {
  let wire: WireServer;
  let app: INestApplication;
  let client: Client;
  let log: CapturedLog;

  beforeAll(async () => {
    log = captureLog();
    wire = await WireServer.start((request) => ({ body: resourceAsked(request) }));
    const module = await Test.createTestingModule({
      imports: [
        MedplumModule.forRoot(wire.options({ reauthorizeEvery: 10 })),
        GraphQLModule.forRoot<ApolloDriverConfig>({
          driver: ApolloDriver,
          autoSchemaFile: true,
          subscriptions: { 'graphql-ws': true },
        }),
      ],
      providers: [PatientsResolver],
    }).compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    const url = `${(await app.getUrl()).replace('http', 'ws')}/graphql`;
    client = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0 });
  });

  beforeEach(() => {
    who = () => BART;
    asked = 0;
    hasEnded = false;
  });

  afterAll(async () => {
    await client?.dispose();
    await closeAll(app, wire);
    log.restore();
  });

  it('goes on as long as its identity is confirmed, and ends with an error when it is not', async () => {
    const seen: unknown[] = [];
    const answers = client.iterate({ query: 'subscription { patients { id seenBy } }' });
    seen.push((await answers.next()).value);
    await until(() => asked >= 3);
    tick();
    seen.push((await answers.next()).value);
    expect(seen).toEqual([
      { data: { patients: { id: '1', seenBy: BART } } },
      { data: { patients: { id: '2', seenBy: BART } } },
    ]);
    who = () => 'ProjectMembership/lisa';
    const last = await answers.next().catch((error: unknown) => error);
    expect(JSON.stringify(last)).not.toMatch(/lisa|bart/);
    expect((await answers.next()).done).toBe(true);
    expect(log.text('warn')).toContain('PatientsResolver.patients went on for long');
    tick();
    await until(() => hasEnded);
    expect(wire.requests.map(({ onBehalfOf }) => onBehalfOf)).toEqual([BART, BART]);
  });

  it('is no longer asked about once it has ended', async () => {
    const answers = client.iterate({ query: 'subscription { patients { id } }' });
    await answers.next();
    await answers.return?.();
    tick();
    await until(() => hasEnded);
    const before = asked;
    const other = client.iterate({ query: '{ patient { id } }' });
    await other.next();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(asked).toBe(before);
  });
});
