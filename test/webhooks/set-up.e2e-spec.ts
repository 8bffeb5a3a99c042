import { Controller, Get, type INestApplication, Injectable, type Type, Post } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  AsClientApplication,
  enableFhirJson,
  InjectMedplum,
  MedplumConfigError,
  MedplumModule,
  type MedplumService,
  OnBehalfOf,
  type OnBehalfOfResolver,
} from 'nestjs-medplum';
import { expectAllRequestsOnBehalfOf, MedplumEmulator, signedWebhook } from 'nestjs-medplum/testing';
import { MedplumWebhook, type MedplumWebhookOptions, WebhookEvent } from 'nestjs-medplum/webhooks';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { failureOf } from '../support/failure-of';
import { listen, type Platform, PLATFORMS } from '../support/platforms';

const secret = 'a secret of enough characters';
const onBehalfOf = 'ProjectMembership/00000000-0000-4000-8000-000000000000';
const OPTIONS: MedplumWebhookOptions = { resourceType: 'Patient', secret, onBehalfOf };
const CLIENT = { clientId: 'client', clientSecret: 'not-a-secret' };

let log: CapturedLog;

beforeEach(() => (log = captureLog()));
afterEach(() => log.restore());

const decorate = (options: object): void => {
  class Hooks {
    handle(): void {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Hooks.prototype, 'handle') as PropertyDescriptor;
  MedplumWebhook(options as MedplumWebhookOptions)(Hooks.prototype, 'handle', descriptor);
};

describe('@MedplumWebhook()', () => {
  it.each<[string, object, string]>([
    ['a short secret', { secret: 'short' }, 'at least 16 characters'],
    ['an empty secret', { secret: '' }, 'at least 16 characters'],
    ['no secret', { secret: undefined }, 'at least 16 characters'],
    ['no secrets', { secret: [] }, 'at least 16 characters'],
    ['a short one of several', { secret: [secret, 'short'] }, 'at least 16 characters'],
    ['a secret of bytes', { secret: Buffer.from(secret) }, 'at least 16 characters'],
    ['no identity', { onBehalfOf: undefined }, 'onBehalfOf is missing'],
    ['no type', { resourceType: undefined }, 'resourceType is not'],
    ['a path as its type', { resourceType: 'Patient?active=true' }, 'resourceType is not'],
    ['no time', { rememberFor: 0 }, 'rememberFor is not'],
    ['a time as text', { rememberFor: '1d' }, 'rememberFor is not'],
  ])('refuses %s, and does not show it', async (_what, wrong, message) => {
    const error = await failureOf((async () => decorate({ ...OPTIONS, ...wrong }))());
    expect(error).toBeInstanceOf(MedplumConfigError);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('short');
  });

  it('refuses a class, a static method and a property', () => {
    const decorator = MedplumWebhook(OPTIONS) as (...args: unknown[]) => void;
    class Hooks {
      static handle(): void {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Hooks, 'handle');
    expect(() => decorator(Hooks)).toThrow(MedplumConfigError);
    expect(() => decorator(Hooks, 'handle', descriptor)).toThrow(MedplumConfigError);
    expect(() => decorator(Hooks.prototype, 'value', undefined)).toThrow(MedplumConfigError);
  });

  it('refuses a second identity below it', () => {
    for (const other of [OnBehalfOf(onBehalfOf), AsClientApplication()]) {
      expect(() => {
        class Hooks {
          @MedplumWebhook(OPTIONS)
          @other
          handle(): void {}
        }
        return Hooks;
      }).toThrow('another decorator says as whom it runs');
    }
  });
});

async function start(controller: Type, client: object = CLIENT): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [MedplumModule.forRoot({ ...CLIENT, ...client }), MedplumModule.forRoot({ ...CLIENT, name: 'other' })],
    controllers: [controller],
  }).compile();
  const app = module.createNestApplication({ rawBody: true });
  return app.init().catch(async (error: unknown) => {
    await app.close();
    throw error;
  });
}

const refused = async (controller: Type): Promise<string> => {
  const error = await failureOf(start(controller).then((app) => app.close()));
  expect(error).toBeInstanceOf(MedplumConfigError);
  return error.message;
};

describe('At start-up', () => {
  it('refuses a second identity above it', async () => {
    for (const other of [OnBehalfOf('ProjectMembership/somebody-else'), AsClientApplication()]) {
      @Controller()
      class Hooks {
        @other
        @Post()
        @MedplumWebhook(OPTIONS)
        handle(): void {}
      }
      expect(await refused(Hooks)).toContain('Hooks.handle: it has @MedplumWebhook(), and another decorator');
    }
  });

  it('lets the handler win over the class, and another client be', async () => {
    @Controller()
    @AsClientApplication()
    class Hooks {
      @Post()
      @OnBehalfOf(onBehalfOf, { client: 'other' })
      @MedplumWebhook(OPTIONS)
      handle(): void {}
    }
    await (await start(Hooks)).close();
  });

  it('refuses a handler of other requests', async () => {
    @Controller()
    class Hooks {
      @Get()
      @MedplumWebhook(OPTIONS)
      handle(): void {}
    }
    expect(await refused(Hooks)).toContain('Hooks.handle: it is not a handler of POST requests');
  });

  it('refuses two webhooks with the same secret', async () => {
    @Controller()
    class Hooks {
      @Post('a')
      @MedplumWebhook(OPTIONS)
      a(): void {}

      @Post('b')
      @MedplumWebhook({ ...OPTIONS, secret: ['another secret of enough length', secret] })
      b(): void {}
    }
    const message = await refused(Hooks);
    expect(message).toContain('Hooks.b: Hooks.a has the same secret');
    expect(message).not.toContain(secret);
  });

  it('lets a subclass have the same webhook', async () => {
    class Base {
      @Post()
      @MedplumWebhook(OPTIONS)
      handle(): void {}
    }
    @Controller('a')
    class A extends Base {}
    @Controller('b')
    class B extends Base {}
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(CLIENT)],
      controllers: [A, B],
    }).compile();
    await (await module.createNestApplication().init()).close();
  });

  it('refuses an identity that is no reference, and an unknown client', async () => {
    @Controller()
    class Hooks {
      @Post()
      @MedplumWebhook({ ...OPTIONS, onBehalfOf: 'nobody' as never, client: 'unknown' })
      handle(): void {}
    }
    expect(await refused(Hooks)).toContain('no Medplum client with the name "unknown"');
  });
});

/** The client of the tests below. Its decorators name these at run time. */
const current: { membership?: string | undefined; secret?: unknown } = {};

@Injectable()
class Resolver implements OnBehalfOfResolver {
  resolve() {
    return current.membership;
  }
}

@Controller()
class NamedHooks {
  constructor(@InjectMedplum('named') private readonly medplum: MedplumService) {}

  @Post('named')
  @MedplumWebhook({
    resourceType: 'Patient',
    client: 'named',
    onBehalfOf: Resolver,
    secret: (moduleRef) => moduleRef.get<() => string>('SECRETS', { strict: false })(),
  })
  named() {
    return this.medplum.searchResources('Patient');
  }

  @Post('plain')
  plain(@WebhookEvent() event: unknown) {
    return event;
  }
}

describe.each(PLATFORMS)('An app on %s', (platform) => {
  let emulator: MedplumEmulator;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start();
    const member = await emulator.createMember({ profile: { resourceType: 'Practitioner' } });
    current.membership = member.membership;
  });

  afterAll(() => emulator?.close());

  const serve = async <T>(
    fn: (post: (path: string, init: RequestInit) => Promise<number>) => Promise<T>,
    { prepare = enableFhirJson, rawBody = true }: { prepare?: (app: INestApplication) => void; rawBody?: boolean } = {},
    on: Platform = platform,
  ): Promise<T> => {
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ ...emulator.options(), name: 'named' })],
      controllers: [NamedHooks],
      providers: [{ provide: 'SECRETS', useValue: () => current.secret }],
    }).compile();
    const { app, url } = await listen(module, on, prepare, { rawBody });
    try {
      return await fn(async (path, init) => (await fetch(`${url}/${path}`, init)).status);
    } finally {
      await closeAll(app);
    }
  };

  const delivery = async () => {
    const resource = await emulator.createResource({ resourceType: 'Patient' });
    emulator.clearRequests();
    return signedWebhook({ secret, resource });
  };

  it('uses the named client, a resolver class, and a secret that a provider knows', async () => {
    current.secret = secret;
    const init = await delivery();
    expect(await serve((post) => post('named', init))).toBe(204);
    expect(emulator.requests).toHaveLength(2);
    expectAllRequestsOnBehalfOf(emulator, String(current.membership));
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an empty text', ''],
    ['an empty list', []],
    ['a short text', 'short'],
  ])('refuses every delivery when the secret is %s', async (_what, wrong) => {
    current.secret = wrong;
    const init = { ...(await delivery()) };
    expect(await serve((post) => post('named', init))).toBe(500);
    expect(log.text('error')).toContain('the secret is not a text of at least 16 characters');
    expect(emulator.requests).toEqual([]);
  });

  it('says how to keep the bytes of bodies', async () => {
    current.secret = secret;
    const init = await delivery();
    expect(await serve((post) => post('named', init), { rawBody: false })).toBe(500);
    expect(log.text('error')).toContain('{ rawBody: true }), and call enableFhirJson(app)');
    expect(emulator.requests).toEqual([]);
  });

  it('says that application/fhir+json is not parsed', async () => {
    current.secret = secret;
    const init = await delivery();
    const status = await serve((post) => post('named', init), { prepare: () => undefined });
    expect([status, emulator.requests]).toEqual([platform === 'express' ? 500 : 415, []]);
    expect(platform === 'express' ? log.text('error') : log.text('warn')).toContain('enableFhirJson(app)');
  });

  it('has no event for other handlers', async () => {
    expect(await serve((post) => post('plain', { method: 'POST' }))).toBe(500);
    expect(log.text('error')).toContain('@WebhookEvent() is on a parameter of a handler that is no webhook');
  });
});
