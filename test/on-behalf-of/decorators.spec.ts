import {
  Controller,
  Get,
  type INestApplication,
  Injectable,
  Logger,
  Module,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { Cron } from '@nestjs/schedule';
import { MessagePattern } from '@nestjs/microservices';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Test } from '@nestjs/testing';
import {
  AsClientApplication,
  InjectMedplum,
  MedplumConfigError,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
} from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { listen } from '../support/platforms';
import { WireServer } from '../support/wire-server';

/** A decorator that replaces the method and forgets its metadata. */
const Lossy = (_target: object, _name: string | symbol, descriptor: PropertyDescriptor): void => {
  const method = descriptor.value as (...args: unknown[]) => unknown;
  descriptor.value = function (this: unknown, ...args: unknown[]) {
    return method.apply(this, args);
  };
};

/** A decorator that replaces the method and copies its metadata. */
const Keeping = (target: object, name: string | symbol, descriptor: PropertyDescriptor): void => {
  const method = descriptor.value as Function;
  Lossy(target, name, descriptor);
  for (const key of Reflect.getMetadataKeys(method)) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, method), descriptor.value as Function);
  }
};

let app: MedplumApp | undefined;
let warn: jest.SpyInstance;

beforeEach(() => {
  warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await app?.close();
  app = undefined;
});

const start = async (more: {
  readonly controllers?: Type[];
  readonly providers?: Type[];
  readonly imports?: Type[];
}) => {
  app = await startMedplumApp({}, { ...more, imports: [MedplumModule.forRoot(lab), ...(more.imports ?? [])] });
  return app;
};
const lab = { name: 'lab', clientId: 'lab', clientSecret: 'secret-of-lab', baseUrl: 'http://127.0.0.1:9/' };

describe('A decorator that another one has lost', () => {
  it.each([true, false])('stops the app, whether the class is decorated or not (%s)', async (isClassDecorated) => {
    @Controller()
    class Charts {
      @Get()
      @Lossy
      @OnBehalfOf('Practitioner/a')
      read() {}
    }
    if (isClassDecorated) {
      AsClientApplication()(Charts);
    }
    await expect(start({ controllers: [Charts] })).rejects.toThrow(MedplumConfigError);
    await expect(start({ controllers: [Charts] })).rejects.toThrow(/Charts\.read: another decorator replaced it/);
  });

  it('stops the app when only one of two clients is lost', async () => {
    @Controller()
    class Charts {
      @Get()
      @OnBehalfOf('Practitioner/a', { client: 'lab' })
      @Lossy
      @OnBehalfOf('Practitioner/a')
      read() {}
    }
    await expect(start({ controllers: [Charts] })).rejects.toThrow(/Charts\.read: another decorator/);
  });

  it('stops the app when the constructor binds the handler', async () => {
    @Controller()
    @AsClientApplication()
    class Charts {
      constructor() {
        this.read = this.read.bind(this);
      }

      @Get()
      @OnBehalfOf('Practitioner/a')
      read() {}
    }
    await expect(start({ controllers: [Charts] })).rejects.toThrow(/Charts\.read: another decorator/);
  });

  it('stops the app when the lost one belonged to the class', async () => {
    @Controller()
    @OnBehalfOf('Practitioner/a')
    class Charts {
      @Get()
      read() {}
    }
    const Wrapped = new Proxy(Charts, {});
    Controller()(Wrapped);
    // Like a class decorator that returns a Proxy: what was stored on the class before is not found on it.
    await expect(start({ controllers: [Wrapped] })).rejects.toThrow(/Charts: another decorator/);
  });

  it('stops the app when the whole handler was lost', async () => {
    @Controller()
    class Charts {
      @Lossy
      @Get()
      @OnBehalfOf('Practitioner/a')
      read() {}
    }
    await expect(start({ controllers: [Charts] })).rejects.toThrow(
      /Charts\.read: Nest runs guards .* another decorator/,
    );
  });

  it('is no decorator that keeps the metadata, or that stands below', async () => {
    @Controller()
    class Charts {
      @Get()
      @Keeping
      @OnBehalfOf('Practitioner/a')
      @Lossy
      read() {}
    }
    await expect(start({ controllers: [Charts] })).resolves.toBeDefined();
  });
});

const onStatic = () => {
  class Charts {
    @OnBehalfOf('Practitioner/a')
    static read() {}
  }
  return Charts;
};
const onGetter = () => {
  class Charts {
    @AsClientApplication()
    get read() {
      return 1;
    }
  }
  return Charts;
};

it('Decorating a static method or a getter is an error at once', () => {
  expect(onStatic).toThrow(/@OnBehalfOf\(\) is on read, which is not a method of an instance/);
  expect(onGetter).toThrow(/@AsClientApplication\(\) is on read, which is not a method of an instance/);
});

describe('A subclass', () => {
  class Base {
    @InjectMedplum() readonly medplum: MedplumService;
    @InjectMedplum('lab') readonly lab: MedplumService;

    @Get('read')
    @OnBehalfOf('Practitioner/base')
    async read() {
      return [this.medplum.currentOnBehalfOf ?? null, this.lab.currentOnBehalfOf ?? null];
    }

    @Get('admin')
    @AsClientApplication()
    async admin() {
      return [
        await this.medplum.readResource('Patient', '1').then(
          () => 'admin',
          () => 'refused',
        ),
      ];
    }
  }

  @Controller('overriding')
  class Overriding extends Base {
    @Get('read')
    @OnBehalfOf('Practitioner/lab', { client: 'lab' })
    override async read() {
      return super.read();
    }

    @Get('admin')
    @OnBehalfOf('Practitioner/lab', { client: 'lab' })
    override async admin() {
      return super.admin();
    }
  }

  @Controller('inheriting')
  @OnBehalfOf('Practitioner/class', { client: 'lab' })
  class Inheriting extends Base {}

  @Controller('derived')
  @OnBehalfOf('Practitioner/derived')
  class Derived extends Inheriting {
    @Get('own')
    own() {
      return super.read();
    }
  }

  let wire: WireServer;
  let nest: INestApplication;
  let url: string;

  beforeAll(async () => {
    wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options()), MedplumModule.forRoot(wire.options({ name: 'lab' }))],
      controllers: [Overriding, Inheriting, Derived],
    }).compile();
    ({ app: nest, url } = await listen(module, 'express'));
  });

  afterAll(async () => {
    await closeAll(nest, wire);
  });

  const get = async (path: string): Promise<unknown> => (await fetch(`${url}/${path}`)).json();

  it('keeps what the base says for other clients', async () => {
    expect(await get('overriding/read')).toEqual(['Practitioner/base', 'Practitioner/lab']);
    expect(await get('inheriting/read')).toEqual(['Practitioner/base', 'Practitioner/class']);
    expect(await get('derived/read')).toEqual(['Practitioner/base', 'Practitioner/class']);
    expect(await get('derived/own')).toEqual(['Practitioner/derived', 'Practitioner/class']);
  });

  it('inherits a handler with the rights of the client, but loses them when it overrides the handler', async () => {
    expect(await get('inheriting/admin')).toEqual(['admin']);
    expect(await get('overriding/admin')).toEqual(['refused']);
  });

  it('stops the app when it overrides a decorated handler without a decorator', async () => {
    @Controller('bare')
    class Bare extends Base {
      @Get('read')
      override async read() {
        return [];
      }
    }
    await expect(start({ controllers: [Bare] })).rejects.toThrow(/Bare\.read: it overrides a method with @OnBehalfOf/);
  });
});

describe('A decorator on what Nest runs without guards and interceptors', () => {
  @Injectable()
  class Reports {
    @OnBehalfOf('Practitioner/a')
    execute() {}
  }
  @Injectable()
  class Nightly {
    @Cron('0 0 * * *', { disabled: true })
    @SetMetadata('roles', ['x'])
    @AsClientApplication()
    run() {}
  }
  @Injectable()
  class OnEvents {
    @SetMetadata('EVENT_LISTENER_METADATA', [])
    @OnBehalfOf('Practitioner/a')
    handle() {}
  }
  @WebSocketGateway()
  class Gateway {
    @OnBehalfOf('Practitioner/a')
    handleConnection() {}
  }
  @Controller()
  class Helper {
    @OnBehalfOf('Practitioner/a')
    help() {}
  }
  @Injectable()
  @OnBehalfOf('Practitioner/a')
  class Service {
    run() {}
  }

  it.each([
    ['Reports.execute', { providers: [Reports] }],
    ['Nightly.run', { providers: [Nightly] }],
    ['OnEvents.handle', { providers: [OnEvents] }],
    ['Gateway.handleConnection', { providers: [Gateway] }],
    ['Helper.help', { controllers: [Helper] }],
    ['Service', { providers: [Service] }],
    ['Reports.execute', { providers: [{ provide: 'reports', useFactory: () => new Reports() } as never] }],
    ['Reports.execute', { providers: [{ provide: 'reports', useValue: new Reports() } as never] }],
  ])('stops the app and names @RunOnBehalfOf() (%s)', async (place, more) => {
    await expect(start(more)).rejects.toThrow(MedplumConfigError);
    await expect(start(more)).rejects.toThrow(new RegExp(`- ${place}: Nest runs guards .* @RunOnBehalfOf\\(\\)`));
  });

  it('is checked in lazily loaded modules too', async () => {
    @Module({ providers: [Reports] })
    class LazyModule {}
    const { module } = await start({});
    const load = () => module.get(LazyModuleLoader).load(() => LazyModule);
    await expect(load()).rejects.toThrow(/Reports\.execute/);
    await expect(load()).rejects.toThrow(/Reports\.execute/);
  });

  it('leaves messages, gateways and resolvers alone, and warns of methods that another library may run', async () => {
    @Controller()
    class Messages {
      @MessagePattern('read')
      @OnBehalfOf('Practitioner/a')
      read() {}
    }
    @WebSocketGateway()
    @OnBehalfOf('Practitioner/a')
    class Chat {
      handleConnection() {}

      @SubscribeMessage('read')
      read() {}
    }
    @Injectable()
    class Resolver {
      @SetMetadata('graphql:resolve_property', true)
      @OnBehalfOf('Practitioner/a')
      field() {}
    }
    @Injectable()
    class Queue {
      @SetMetadata('QUEUE_OF_A_LIBRARY', 'x')
      @OnBehalfOf('Practitioner/a')
      take() {}
    }
    class LazyModule {}
    const { module } = await start({ controllers: [Messages], providers: [Chat, Resolver, Queue] });
    await module.get(LazyModuleLoader).load(() => LazyModule);
    const warned = warn.mock.calls.map(([text]) => String(text)).filter((text) => text.includes('@RunOnBehalfOf'));
    expect(warned).toEqual([expect.stringContaining('does not run: Queue.take.')]);
  });
});

/** As @nestjs/graphql marks methods. */
const Query = () => SetMetadata('graphql:resolver_type', 'Query');
const ResolveField = () => SetMetadata('graphql:resolve_property', true);

/** As `GraphQLModule` of @nestjs/graphql provides its options. */
const graphql = (options: object) => ({
  module: class GraphQLModule {},
  providers: [{ provide: 'GqlModuleOptions', useValue: options }],
});

describe('A field resolver of GraphQL', () => {
  @Injectable()
  class ChartResolver {
    @Query()
    @OnBehalfOf('Practitioner/a')
    chart() {}

    @ResolveField()
    @OnBehalfOf('Practitioner/b')
    notes() {}
  }
  @Injectable()
  @OnBehalfOf('Practitioner/a')
  class WardResolver {
    @Query()
    ward() {}

    @ResolveField()
    beds() {}
  }
  @Module({ providers: [ChartResolver] })
  class ChartModule {}

  const withGraphql = (options: object, type: Type = ChartModule) =>
    start({
      imports: [graphql(options) as never, ...(type === ChartModule ? [type] : [])],
      ...(type === ChartModule ? {} : { providers: [type] }),
    });
  const ENHANCED = { fieldResolverEnhancers: ['guards', 'interceptors', 'filters'] };

  it.each([{}, { fieldResolverEnhancers: ['guards'] }, { include: [ChartModule] }])(
    'stops the app when it is decorated and GraphQL runs it without guards or interceptors (%j)',
    async (options) => {
      await expect(withGraphql(options)).rejects.toThrow(
        "- ChartResolver.notes: GraphQL runs field resolvers without guards and interceptors. Set fieldResolverEnhancers: ['guards', 'interceptors']",
      );
    },
  );

  it('is one warning when only its class is decorated, because it may not call Medplum', async () => {
    await withGraphql({}, WardResolver);
    expect(warn.mock.calls.flat().join()).toContain('does nothing for these field resolvers: WardResolver.beds.');
  });

  it.each([ENHANCED, { include: [class Other {}] }])('is fine otherwise (%j)', async (options) => {
    await withGraphql(options);
    expect(warn.mock.calls.flat().join()).not.toContain('field resolvers');
  });
});

const startWith = (controllers: readonly Type[], options: object = {}) =>
  startMedplumApp(options, { controllers: [...controllers] }).then((started) => (app = started));
const warnings = (text: string) => warn.mock.calls.filter(([given]) => String(given).includes(text)).length;

describe('A decorated class', () => {
  it('may be a provider, if Nest runs one of its methods as a handler, or another library may', async () => {
    @Injectable()
    @OnBehalfOf('Practitioner/a')
    class Queue {
      helper() {}

      @SetMetadata('QUEUE_OF_A_LIBRARY', 'x')
      take() {}
    }
    await expect(start({ providers: [Queue] })).resolves.toBeDefined();
  });

  it('that acts for users is named beside a defaultOnBehalfOf, once for each client', async () => {
    @Controller()
    @OnBehalfOf('Practitioner/a')
    class Charts {
      @Get()
      @OnBehalfOf('Practitioner/b')
      read() {}
    }
    await startWith([Charts], { defaultOnBehalfOf: 'ProjectMembership/system' });
    expect(warnings('has a defaultOnBehalfOf')).toBe(1);
  });

  it.each([
    ['acts as the client', () => AsClientApplication(), { defaultOnBehalfOf: 'ProjectMembership/system' }],
    ['has no default beside it', () => OnBehalfOf('Practitioner/a'), {}],
  ])('that %s causes no such warning', async (_what, decorate, options) => {
    @Controller()
    @decorate()
    class Charts {
      @Get()
      read() {}
    }
    await startWith([Charts], options);
    expect(warnings('has a defaultOnBehalfOf')).toBe(0);
  });

  it.each<readonly [string, () => ClassDecorator & MethodDecorator, RegExp]>([
    [
      'a client that does not exist',
      () => OnBehalfOf('Practitioner/a', { client: 'labb' }),
      /no Medplum client with the name/,
    ],
    ['no source', () => OnBehalfOf(), /has no source/],
    ['a source that is no full reference', () => OnBehalfOf('a' as never), /invalid source/],
    ['the client itself', () => OnBehalfOf('ClientApplication/client-1'), /reference in the decorator/],
  ])('or a decorated handler, stops the app when it names %s', async (_what, decorate, message) => {
    @Controller()
    @decorate()
    class ByClass {
      @Get()
      read() {}
    }
    @Controller()
    class ByMethod {
      @Get()
      @decorate()
      read() {}
    }
    await expect(startWith([ByClass])).rejects.toThrow(message);
    await expect(startWith([ByClass])).rejects.toThrow(/- ByClass: /);
    await expect(startWith([ByMethod])).rejects.toThrow(/- ByMethod\.read: /);
  });
});
