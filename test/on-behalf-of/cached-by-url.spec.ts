import { CACHE_MANAGER, CacheInterceptor, CacheKey, CacheModule } from '@nestjs/cache-manager';
import {
  All,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Injectable,
  Module,
  Post,
  type Provider,
  type Type,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, LazyModuleLoader, Reflector } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  AsClientApplication,
  fromUser,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
  WithoutMedplum,
} from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { PLATFORMS, listen } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { resourceAsked, WireServer } from '../support/wire-server';

/** As the documentation shows it. The guards have run before the first interceptor, so the user is known. */
@Injectable()
class CachePerUser extends CacheInterceptor {
  protected override trackBy(context: ExecutionContext): string | undefined {
    const key = super.trackBy(context) as string | undefined;
    const request: { readonly user?: { readonly membership?: string } } = context.switchToHttp().getRequest();
    const membership = request.user?.membership;
    return key !== undefined && membership !== undefined ? `${membership} ${key}` : undefined;
  }
}

/** A subclass that leaves the key alone. */
@Injectable()
class QuietCache extends CacheInterceptor {
  protected override setHeadersWhenHttp(): void {
    // No header tells whether the response was cached.
  }
}

@Injectable()
class PostCache extends CacheInterceptor {
  protected override allowedMethods = ['GET', 'POST'];
}

let wire: WireServer;
let app: INestApplication | undefined;

beforeEach(async () => {
  wire = await WireServer.start((request) => ({ body: resourceAsked(request) }));
});

afterEach(async () => {
  await closeAll(...(app ? [app] : []), wire);
  app = undefined;
});

interface Parts {
  readonly controllers: Type[];
  readonly providers?: Provider[];
  readonly prepare?: (nest: INestApplication) => void;
  readonly resolveOnBehalfOf?: Parameters<typeof OnBehalfOf>[0];
}

const start = async (
  { controllers, providers = [], prepare, resolveOnBehalfOf }: Parts,
  platform: (typeof PLATFORMS)[number] = 'express',
) => {
  const module = await Test.createTestingModule({
    imports: [
      MedplumModule.forRoot(wire.options(resolveOnBehalfOf === undefined ? {} : { resolveOnBehalfOf })),
      CacheModule.register({ isGlobal: true }),
    ],
    controllers,
    providers,
  }).compile();
  // Kept even if it does not start, so that it is closed.
  const started = await listen(module, platform, (nest) => {
    app = nest;
    prepare?.(nest);
  });
  return started;
};

@Controller('charts')
@OnBehalfOf(fromUser('membership'))
class Charts {
  @Get(':id')
  read() {}
}

@Controller('charts')
@UseInterceptors(CacheInterceptor)
@OnBehalfOf(fromUser('membership'))
class OnClass extends Charts {}

@Controller('charts')
class OnMethod {
  @Get('first')
  @OnBehalfOf(fromUser('membership'))
  @UseInterceptors(QuietCache)
  first() {}

  @All('second')
  @OnBehalfOf()
  @UseInterceptors(CacheInterceptor)
  second() {}

  @Post('third')
  @OnBehalfOf()
  @CacheKey('third')
  @UseInterceptors(CacheInterceptor)
  third() {}

  @Post('fourth')
  @OnBehalfOf()
  @UseInterceptors(PostCache)
  fourth() {}
}

/** No handler here gives the response of one user to another. */
@Controller('fine')
@UseInterceptors(CacheInterceptor)
class Fine {
  @Get('plain')
  plain() {}

  @Get('without')
  @WithoutMedplum()
  without() {}

  @Get('client')
  @AsClientApplication()
  client() {}

  @Get('fixed')
  @OnBehalfOf('Practitioner/scheduler')
  fixed() {}

  @Post('post')
  @OnBehalfOf(fromUser('membership'))
  create() {}

  @Get('key')
  @OnBehalfOf(fromUser('membership'))
  @CacheKey((context) => `${context.switchToHttp().getRequest<{ user: { membership: string } }>().user.membership} key`)
  key() {}
}

const REASON = 'CacheInterceptor keeps its response under a key that all users share (the URL, or a fixed @CacheKey())';

describe('CacheInterceptor on handlers that act for a user', () => {
  it.each<readonly [string, Parts]>([
    ['the class', { controllers: [OnClass] }],
    [
      'APP_INTERCEPTOR',
      { controllers: [Charts], providers: [{ provide: APP_INTERCEPTOR, useClass: CacheInterceptor }] },
    ],
    [
      'useGlobalInterceptors()',
      {
        controllers: [Charts],
        prepare: (nest) =>
          nest.useGlobalInterceptors(new CacheInterceptor(nest.get(CACHE_MANAGER), nest.get(Reflector))),
      },
    ],
  ])('stops the app when it is on %s', async (_where, parts) => {
    const name = parts.controllers[0]?.name;
    await expect(start(parts)).rejects.toThrow(
      `A cache would give the responses of one user to others:\n- ${name}.read: ${REASON}`,
    );
  });

  it('stops the app when it is on methods, and names each', async () => {
    const failing = start({ controllers: [OnMethod, Fine], resolveOnBehalfOf: fromUser('membership') });
    const message = await failing.then(String, (error: Error) => error.message);
    expect(message.match(/^- [\w.]+/gm)).toEqual([
      '- OnMethod.first',
      '- OnMethod.second',
      '- OnMethod.third',
      '- OnMethod.fourth',
    ]);
    expect(message).toContain('use a subclass whose trackBy() puts the user into the key: trackBy(context) {');
  });

  it('stops the app when it is request-scoped and global', async () => {
    @Injectable({ scope: 2 })
    class PerRequest extends CacheInterceptor {}
    const providers = [{ provide: APP_INTERCEPTOR, useClass: PerRequest }];
    await expect(start({ controllers: [Charts], providers })).rejects.toThrow(/- Charts\.read: CacheInterceptor/);
  });

  it('stops a module from being loaded lazily', async () => {
    @Module({ controllers: [OnClass] })
    class LazyModule {}
    await start({ controllers: [] });
    await expect(app?.get(LazyModuleLoader).load(() => LazyModule)).rejects.toThrow(
      /- OnClass\.read: CacheInterceptor/,
    );
  });

  it('is fine where the response is the same for all, is not cached, or has a key of its own', async () => {
    await expect(start({ controllers: [Fine] })).resolves.toBeDefined();
  });

  it('does not mean a class that only has the name', async () => {
    @Injectable()
    class Logs {
      intercept(_context: unknown, next: { handle(): unknown }) {
        return next.handle();
      }

      trackBy() {
        return undefined;
      }
    }
    Object.defineProperty(Logs, 'name', { value: 'CacheInterceptor' });
    @Controller()
    @UseInterceptors(Logs as never)
    class Named {
      @Get()
      @OnBehalfOf(fromUser('membership'))
      read() {}
    }
    await expect(start({ controllers: [Named] })).resolves.toBeDefined();
  });
});

@Controller('patients')
@UseGuards(TestUserGuard)
class Patients {
  constructor(readonly medplum: MedplumService) {}

  @Get(':id')
  @OnBehalfOf(fromUser('membership'))
  async read() {
    await this.medplum.readResource('Patient', '1');
    return { for: this.medplum.currentOnBehalfOf };
  }
}
@Controller('patients')
@UseInterceptors(CachePerUser)
class CachedPatients extends Patients {}

describe.each(PLATFORMS)('A subclass whose trackBy() names the user, on %s', (platform) => {
  it.each<readonly [string, Parts]>([
    ['the class', { controllers: [CachedPatients] }],
    ['the whole app', { controllers: [Patients], providers: [{ provide: APP_INTERCEPTOR, useClass: CachePerUser }] }],
  ])('keeps the responses of users apart, when it is on %s', async (_where, parts) => {
    const { url } = await start(parts, platform);
    const read = async (user: string): Promise<unknown> =>
      (await fetch(`${url}/patients/1`, { headers: { 'x-test-user': user } })).json();
    for (const user of ['Practitioner/a', 'Practitioner/b', 'Practitioner/a', 'Practitioner/b']) {
      expect(await read(user)).toEqual({ for: user });
    }
    expect(wire.identities).toEqual(['Practitioner/a', 'Practitioner/b']);
  });
});
