import { Controller, Get, type INestApplication, Post } from '@nestjs/common';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  NatsContext,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { type ClientProxy } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom, retry } from 'rxjs';
import {
  MedplumExceptionFilter,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
  OnBehalfOfRequiredError,
} from 'nestjs-medplum';
import { DELEGATION_HEADER, delegatedClient, delegationHeaders, fromDelegation } from 'nestjs-medplum/delegation';
import { UseFilters } from '@nestjs/common';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { delegation, refusalOf } from '../support/delegations';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { freePort } from '../support/free-port';
import { listen, PLATFORMS } from '../support/platforms';
import { resourceAsked } from '../support/wire-server';

const heard: unknown[] = [];

@Controller()
@UseFilters(MedplumExceptionFilter)
@OnBehalfOf(fromDelegation({ audience: 'charts' }))
class ChartsController {
  constructor(private readonly medplum: MedplumService) {}

  @Get('charts')
  @Post('charts')
  async chart() {
    await this.medplum.readResource('Patient', '1');
    return { as: this.medplum.currentOnBehalfOf };
  }

  @MessagePattern('chart')
  async message(@Payload() data: { readonly patient: string }) {
    await this.medplum.readResource('Patient', data.patient);
    return { as: this.medplum.currentOnBehalfOf, data };
  }

  @EventPattern('seen')
  async event(@Payload() data: object) {
    await this.medplum.readResource('Patient', '1');
    heard.push(data, this.medplum.currentOnBehalfOf);
  }

  @MessagePattern('by-header')
  @OnBehalfOf(
    fromDelegation({
      audience: 'charts',
      token: (context) =>
        (context.switchToRpc().getContext<NatsContext>().getHeaders?.() as Map<string, string> | undefined)?.get(
          DELEGATION_HEADER,
        ),
    }),
  )
  byHeader() {
    return { as: this.medplum.currentOnBehalfOf };
  }
}

let sender: MedplumApp;
let charts: INestApplication;
let url: string;
let log: CapturedLog;

const inScope = <T>(who: string, fn: () => T): T => sender.medplum.onBehalfOf(who, fn);
const identities = () =>
  sender.wire.requests.filter(({ path }) => path.includes('/Patient/')).map((one) => one.onBehalfOf);

beforeEach(async () => {
  log = captureLog();
  heard.length = 0;
  sender = await startMedplumApp({ delegation: delegation({ realm: 'clinic' }) });
});

/** Another service, with a client of its own for the same project. */
const service = () =>
  Test.createTestingModule({
    imports: [
      MedplumModule.forRoot(sender.wire.options({ clientId: 'client-2', delegation: delegation({ realm: 'clinic' }) })),
    ],
    controllers: [ChartsController],
  }).compile();

afterEach(async () => {
  log.restore();
  await closeAll(charts, sender);
});

/** The status of the response, and whom the handler acted as. */
const call = async (headers: Record<string, string> = {}) => {
  const response = await fetch(`${url}/charts`, { headers });
  return [response.status, ((await response.json()) as { readonly as?: string }).as];
};
const headersFor = (who: string, audience = 'charts') =>
  inScope(who, () => delegationHeaders(sender.medplum, { audience }));

describe.each(PLATFORMS)('HTTP between services (%s)', (platform) => {
  beforeEach(async () => {
    ({ app: charts, url } = await listen(await service(), platform));
  });

  it('a handler acts as whoever called it', async () => {
    const answers = await Promise.all(['m1', 'm2', 'm3'].map(async (who) => call({ ...(await headersFor(who)) })));
    expect(answers).toEqual(['m1', 'm2', 'm3'].map((who) => [200, `ProjectMembership/${who}`]));
    expect(new Set(identities())).toEqual(new Set(['m1', 'm2', 'm3'].map((who) => `ProjectMembership/${who}`)));
  });

  it('a token is used once, and whatever is no token gets 401', async () => {
    const headers = { ...(await headersFor('m1')) };
    expect(await call(headers)).toEqual([200, 'ProjectMembership/m1']);
    expect(await call(headers)).toEqual([401, undefined]);
    expect(await call()).toEqual([401, undefined]);
    expect(await call({ [DELEGATION_HEADER]: 'forged' })).toEqual([401, undefined]);
    expect(await call({ ...(await headersFor('m1', 'billing')) })).toEqual([401, undefined]);
    expect(identities()).toHaveLength(1);
    const [, claims = 'none'] = headers[DELEGATION_HEADER]?.split('.') ?? [];
    expect(JSON.stringify(log.given)).not.toContain(claims);
  });

  it('two headers are refused, as is one in Authorization', async () => {
    const [one, two] = [await headersFor('m1'), await headersFor('m2')];
    expect(await call({ [DELEGATION_HEADER]: `${one[DELEGATION_HEADER]}, ${two[DELEGATION_HEADER]}` })).toEqual([
      401,
      undefined,
    ]);
    expect(await call({ authorization: `Bearer ${one[DELEGATION_HEADER]}` })).toEqual([401, undefined]);
  });

  it('a membership that was deactivated gets 403', async () => {
    const headers = await headersFor('m1');
    sender.wire.handler = (request) => ({ body: { ...resourceAsked(request), active: false } });
    expect(await call({ ...headers })).toEqual([403, undefined]);
  });
});

describe('messages (TCP)', () => {
  let client: ClientProxy;

  beforeEach(async () => {
    const module = await service();
    charts = module.createNestApplication();
    const options = { host: '127.0.0.1', port: await freePort() };
    charts.connectMicroservice({ transport: Transport.TCP, options });
    await charts.startAllMicroservices();
    client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  });
  afterEach(() => client?.close());

  const delegated = () => delegatedClient(client, sender.medplum, { audience: 'charts' });

  it('a handler acts as whoever sent the message, and sees no token', async () => {
    const answers = await Promise.all(
      ['m1', 'm2', 'm3'].map((who) => firstValueFrom(inScope(who, () => delegated().send('chart', { patient: who })))),
    );
    expect(answers).toEqual(
      ['m1', 'm2', 'm3'].map((who) => ({ as: `ProjectMembership/${who}`, data: { patient: who } })),
    );
  });

  it('each subscription sends a token of its own, as whoever called send()', async () => {
    const message = inScope('m1', () => delegated().send<{ as: string }>('chart', { patient: '1' }));
    const first = await sender.medplum.onBehalfOf('m2', () => firstValueFrom(message));
    const second = await firstValueFrom(message.pipe(retry(1)));
    expect([first.as, second.as]).toEqual(['ProjectMembership/m1', 'ProjectMembership/m1']);
  });

  it('an event is sent at once, whether or not anybody subscribes', async () => {
    inScope('m1', () => delegated().emit('seen', { patient: '1' }));
    await sender.wire.received(2);
    for (let turn = 0; heard.length === 0 && turn < 1_000; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(heard).toEqual([{ patient: '1' }, 'ProjectMembership/m1']);
  });

  it('a message without a token, or with one that was used, is refused', async () => {
    await expect(firstValueFrom(client.send('chart', { patient: '1' }))).rejects.toMatchObject({ statusCode: 401 });
    const { [DELEGATION_HEADER]: medplumDelegation } = await inScope('m1', () =>
      delegationHeaders(sender.medplum, { audience: 'charts' }),
    );
    const message = client.send('chart', { patient: '1', medplumDelegation });
    expect(await firstValueFrom(message)).toMatchObject({ as: 'ProjectMembership/m1' });
    await expect(firstValueFrom(message)).rejects.toMatchObject({ statusCode: 401 });
    await expect(firstValueFrom(client.send('chart', 'text'))).rejects.toMatchObject({ statusCode: 401 });
    await expect(firstValueFrom(client.send('by-header', {}))).rejects.toMatchObject({ statusCode: 401 });
  });

  it('nothing is sent without an identity, nor what cannot carry a token', async () => {
    expect(() => delegated().send('chart', { patient: '1' })).toThrow(OnBehalfOfRequiredError);
    for (const data of ['text', 42, null, undefined, [1], new Date(0)]) {
      const sending = inScope('m1', async () => delegated().send('chart', data as object));
      expect(await refusalOf(sending)).toBe('arguments');
    }
    expect(sender.wire.requests).toEqual([]);
  });
});
