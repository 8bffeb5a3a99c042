import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  Inject,
  type INestApplication,
  Injectable,
  Res,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  AsClientApplication,
  CurrentOnBehalfOf,
  fromUser,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
  OnBehalfOfGuard,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { listen, PLATFORMS } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer } from '../support/wire-server';

const resolved = jest.fn();
const user = (context: ExecutionContext) => {
  resolved();
  return fromUser('membership')(context);
};

abstract class Chart {
  @Inject(MedplumService) protected readonly medplum: MedplumService;
  protected async read(): Promise<string | undefined> {
    await this.medplum.readResource('Patient', '1');
    return this.medplum.currentOnBehalfOf;
  }
}

@Controller('auth-below')
class AuthBelow extends Chart {
  @Get()
  @OnBehalfOf(user)
  @UseGuards(TestUserGuard)
  handle() {
    return this.read();
  }
}

@Controller('auth-above')
class AuthAbove extends Chart {
  @Get()
  @UseGuards(TestUserGuard)
  @OnBehalfOf(user)
  handle() {
    return this.read();
  }
}

@Controller('auth-on-class')
@UseGuards(TestUserGuard)
class AuthOnClass extends Chart {
  @Get()
  @OnBehalfOf(user)
  handle() {
    return this.read();
  }
}

@Controller('auth-on-handler')
@OnBehalfOf(user)
class AuthOnHandler extends Chart {
  @Get()
  @UseGuards(TestUserGuard)
  handle() {
    return this.read();
  }
}

@Controller('both')
@OnBehalfOf(() => 'class')
class OnBoth extends Chart {
  @Get()
  @UseGuards(TestUserGuard)
  @OnBehalfOf(user)
  handle() {
    return this.read();
  }
}

@Controller('explicit')
@UseGuards(OnBehalfOfGuard)
class ExplicitGuard extends Chart {
  @Get()
  @UseGuards(TestUserGuard, OnBehalfOfGuard)
  @OnBehalfOf(user)
  handle() {
    return this.read();
  }
}

const ORDERS = [AuthBelow, AuthAbove, AuthOnClass, AuthOnHandler, OnBoth, ExplicitGuard];
const PATHS = ['auth-below', 'auth-above', 'auth-on-class', 'auth-on-handler', 'both', 'explicit'];

@Controller('more')
@OnBehalfOf(() => 'class')
class More extends Chart {
  @Get('class')
  ofClass() {
    return this.read();
  }

  @Get('own')
  @OnBehalfOf('Practitioner/own')
  own(@CurrentOnBehalfOf() who: string) {
    return who;
  }

  @Get('client')
  @AsClientApplication({ reason: 'counting' })
  async asClient(@CurrentOnBehalfOf() who: string | undefined) {
    await this.read();
    return { who: who ?? 'client' };
  }

  @Get('cached')
  @Header('Cache-Control', 'private, max-age=60')
  cached() {
    return this.read();
  }

  @Get('cached-late')
  async cachedLate(@Res({ passthrough: true }) response: { header(name: string, value: string): void }) {
    response.header('Cache-Control', 'no-cache');
    return this.read();
  }

  @Get('malformed')
  @OnBehalfOf(() => 'Practitioner/a,Practitioner/b')
  malformed() {
    return this.read();
  }

  @Get('empty')
  @OnBehalfOf(() => '')
  empty() {
    return this.read();
  }
}

@Controller('undecorated')
class Undecorated extends Chart {
  @Get()
  handle() {
    return this.read();
  }
}

/** Inherits an identity, but must not inherit the rights of the client. */
@Controller('base')
@AsClientApplication()
class Base extends Chart {
  @Get('inherited')
  inherited() {
    return this.read();
  }
}

@Controller('derived')
class Derived extends Base {}

@Injectable()
class AsyncGlobalGuard implements CanActivate {
  async canActivate(): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return true;
  }
}

describe.each(PLATFORMS)('Guards on %s', (platform) => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;
  let log: CapturedLog;

  async function start(providers: object[] = []) {
    wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options())],
      controllers: [...ORDERS, More, Undecorated, Base, Derived],
      providers: providers as never[],
    }).compile();
    ({ app, url } = await listen(module, platform));
  }

  const get = async (path: string, who?: string) => {
    const response = await fetch(`${url}/${path}`, { headers: who ? { 'x-test-user': who } : {} });
    return { status: response.status, body: await response.text(), cache: response.headers.get('cache-control') };
  };

  beforeEach(() => {
    resolved.mockClear();
    log = captureLog();
  });

  afterEach(async () => {
    log.restore();
    await closeAll(app, wire);
  });

  const GLOBAL: [string, object[]][] = [
    ['no global guard', []],
    ['an async global guard before ours', [{ provide: APP_GUARD, useClass: AsyncGlobalGuard }]],
    ['OnBehalfOfGuard as a global guard too', [{ provide: APP_GUARD, useClass: OnBehalfOfGuard }]],
  ];

  it.each(GLOBAL)('the authentication guard may stand anywhere, with %s', async (_what, providers) => {
    await start(providers);
    for (const path of PATHS) {
      resolved.mockClear();
      expect([path, await get(path, 'm1')]).toEqual([
        path,
        { status: 200, body: 'ProjectMembership/m1', cache: 'private, no-store' },
      ]);
      expect([path, resolved.mock.calls.length]).toEqual([path, 1]);
    }
    expect(wire.identities).toEqual(PATHS.map(() => 'ProjectMembership/m1'));
  });

  it('refuses before the handler: 401 when nobody is logged in, 403 when the user has no membership', async () => {
    await start();
    for (const path of PATHS) {
      expect([path, (await get(path)).status, (await get(path, 'without-membership')).status]).toEqual([
        path,
        401,
        403,
      ]);
    }
    expect(wire.requests).toEqual([]);
    const logged = log.text('warn');
    expect(logged).toContain('AuthBelow.handle');
  });

  it('lets the handler win over the class, per client', async () => {
    await start();
    expect((await get('more/class')).body).toBe('ProjectMembership/class');
    expect((await get('more/own')).body).toBe('Practitioner/own');
    expect((await get('more/client')).body).toBe('{"who":"client"}');
    expect(wire.identities).toEqual(['ProjectMembership/class', undefined]);
  });

  it('does not let a subclass inherit the rights of the client', async () => {
    await start();
    expect((await get('base/inherited')).status).toBe(200);
    expect((await get('derived/inherited')).status).toBe(500);
    expect(wire.identities).toEqual([undefined]);
  });

  it('lets handlers without a decorator pass, and the service refuses their calls', async () => {
    await start([{ provide: APP_GUARD, useClass: OnBehalfOfGuard }]);
    const { status, body } = await get('undecorated', 'm1');
    expect([status, JSON.parse(body)]).toEqual([
      500,
      { statusCode: 500, message: 'Internal server error', error: 'Internal Server Error' },
    ]);
    expect(wire.requests).toEqual([]);
    const logged = log.text('error');
    expect(logged).toContain('GET /undecorated');
    expect(logged).toContain('Undecorated.read');
    expect(logged).toContain('@OnBehalfOf()');
  });

  it.each(['more/malformed', 'more/empty'])(
    'answers 500 with nothing sent when a source returns something invalid (%s)',
    async (path) => {
      await start();
      expect((await get(path)).status).toBe(500);
      expect(wire.requests).toEqual([]);
    },
  );

  it('keeps the Cache-Control header that a handler sets', async () => {
    await start();
    expect((await get('more/cached')).cache).toBe('private, max-age=60');
    expect((await get('more/cached-late')).cache).toBe('no-cache');
    expect((await get('undecorated')).cache).toBeNull();
  });
});
