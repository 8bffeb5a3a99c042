import { All, Controller, Get, Injectable, Module, Post, SetMetadata, type Type } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  AsClientApplication,
  fromUser,
  MedplumConfigError,
  MedplumModule,
  type MedplumRoute,
  MedplumRouteReport,
  OnBehalfOf,
  RunAsClientApplication,
  RunOnBehalfOf,
  WithoutMedplum,
} from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

const LAB = { clientId: 'lab', clientSecret: 'secret-of-lab', baseUrl: 'http://127.0.0.1:9/' };
const REFERENCE = 'Practitioner/0e5dcd0c-0b5b-4ec5-8a6e-2f1b8a0e5dcd';

let app: MedplumApp | undefined;

afterEach(async () => {
  await app?.close();
  app = undefined;
});

type More = Parameters<typeof startMedplumApp>[1];
type Options = Parameters<typeof startMedplumApp>[0] & Pick<Parameters<typeof MedplumModule.forRoot>[0], 'routes'>;

const start = async (more: More, options: Options = {}): Promise<MedplumRouteReport> => {
  app = await startMedplumApp({ resolveOnBehalfOf: fromUser('membership'), ...options }, more);
  return app.module.get(MedplumRouteReport);
};

/** A route in one line: what calls it, and how it acts. */
const line = ({ kind, address, className, handler, identities, withoutMedplum, undecided }: MedplumRoute): string => {
  const acts = identities.map(({ client, decorator, source, reason }) =>
    [client, decorator, source, reason].filter((part) => part !== undefined).join(' '),
  );
  const rest = [...(withoutMedplum ? ['without'] : []), ...(undecided ? ['undecided'] : [])];
  return `${kind} ${address} ${className}.${handler}: ${[...acts, ...rest].join('; ')}`;
};
const lines = (report: MedplumRouteReport): string[] => report.routes.map(line);

@Injectable()
class WhoAsks {
  resolve() {
    return REFERENCE;
  }
}

/** As `GraphQLModule` of @nestjs/graphql provides its options. */
const graphql = (options: object) => ({
  module: class GraphQLModule {},
  providers: [{ provide: 'GqlModuleOptions', useValue: options }],
});

describe('The route report', () => {
  it('names what calls each handler, and how it acts for each client', async () => {
    @Controller(['patients', '/people/'])
    @OnBehalfOf(fromUser('membership'))
    class Patients {
      @Get(':id')
      read() {}

      @Post('/')
      @OnBehalfOf(WhoAsks)
      @OnBehalfOf(REFERENCE, { client: 'lab' })
      create() {}

      @All('search')
      @AsClientApplication({ reason: 'statistics' })
      search() {}

      @Get('about')
      @WithoutMedplum()
      about() {}

      helper() {}
    }
    @Controller()
    class Rest {
      @Get(['a', 'b'])
      @OnBehalfOf(() => REFERENCE)
      read() {}

      @Get()
      @OnBehalfOf()
      root() {}

      @Get('nothing')
      nothing() {}

      @MessagePattern({ cmd: 'sum' })
      @OnBehalfOf()
      message(_data: unknown) {}

      @EventPattern('created')
      event(_data: unknown) {}

      @Get('ran')
      @RunOnBehalfOf(() => REFERENCE)
      ran() {}
    }
    @WebSocketGateway()
    class Chat {
      @SubscribeMessage('say')
      @OnBehalfOf()
      say() {}

      handleConnection() {}
    }
    @Injectable()
    class Jobs {
      @RunOnBehalfOf(() => REFERENCE)
      nightly() {}

      @RunAsClientApplication({ client: 'lab', reason: 'clean up' })
      weekly() {}
    }
    const report = await start({
      controllers: [Patients, Rest],
      providers: [Chat, Jobs],
      imports: [MedplumModule.forRoot({ name: 'lab', ...LAB })],
    });
    expect(lines(report)).toEqual([
      "http GET /patients/:id, GET /people/:id Patients.read: default OnBehalfOf fromUser('membership')",
      'http POST /patients, POST /people Patients.create: default OnBehalfOf WhoAsks; lab OnBehalfOf reference',
      'http ALL /patients/search, ALL /people/search Patients.search: default AsClientApplication statistics',
      'http GET /patients/about, GET /people/about Patients.about: without',
      'http GET /a, GET /b Rest.read: default OnBehalfOf function',
      'http GET / Rest.root: default OnBehalfOf resolveOnBehalfOf',
      'http GET /nothing Rest.nothing: undecided',
      'rpc {"cmd":"sum"} Rest.message: default OnBehalfOf resolveOnBehalfOf',
      'rpc created Rest.event: undecided',
      'http GET /ran Rest.ran: default RunOnBehalfOf function',
      'websocket say Chat.say: default OnBehalfOf resolveOnBehalfOf',
      'method  Jobs.nightly: default RunOnBehalfOf function',
      'method  Jobs.weekly: lab RunAsClientApplication clean up',
    ]);
    expect(report.undecided.map(({ handler }) => handler)).toEqual(['nothing', 'event']);
    expect(JSON.stringify(report.routes)).not.toContain(REFERENCE);
  });

  it('names queries and fields of GraphQL; fields need not say anything, and bare ones have no identity', async () => {
    @Injectable()
    @SetMetadata('graphql:resolver_name', 'Chart')
    @OnBehalfOf()
    class Charts {
      @SetMetadata('graphql:resolver_type', 'Query')
      chart() {}

      @SetMetadata('graphql:resolver_type', 'Mutation')
      @SetMetadata('graphql:resolver_name', 'sign')
      @WithoutMedplum()
      signChart() {}

      @SetMetadata('graphql:resolve_property', true)
      notes() {}
    }
    @Injectable()
    class Wards {
      @SetMetadata('graphql:resolver_type', 'Query')
      ward() {}

      @SetMetadata('graphql:resolve_property', true)
      beds() {}
    }
    const report = await start({ providers: [Charts, Wards], imports: [graphql({})] });
    expect(lines(report)).toEqual([
      'graphql Query chart Charts.chart: default OnBehalfOf resolveOnBehalfOf',
      'graphql Mutation sign Charts.signChart: without',
      'graphql Chart.notes Charts.notes: ',
      'graphql Query ward Wards.ward: undecided',
      'graphql beds Wards.beds: ',
    ]);
    await app?.close();
    const enhanced = graphql({ fieldResolverEnhancers: ['guards', 'interceptors'] });
    expect(lines(await start({ providers: [Charts], imports: [enhanced] }))).toContain(
      'graphql Chart.notes Charts.notes: default OnBehalfOf resolveOnBehalfOf',
    );
  });

  it('covers lazily loaded modules, counts a controller once, and leaves out handlers that Nest does not run', async () => {
    @Controller('lazy')
    class Lazy {
      @Get()
      read() {}
    }
    @Injectable()
    class NoController {
      @Get('none')
      read() {}

      @SubscribeMessage('none')
      say() {}
    }
    @Module({ controllers: [Lazy] })
    class LazyModule {}
    @Module({ controllers: [Lazy], providers: [Lazy] })
    class OtherModule {}
    const report = await start({ providers: [NoController] });
    expect(lines(report)).toEqual([]);
    await app?.module.get(LazyModuleLoader).load(() => LazyModule);
    await app?.module.get(LazyModuleLoader).load(() => OtherModule);
    expect(lines(report)).toEqual(['http GET /lazy Lazy.read: undecided']);
  });
});

const onStatic = () => {
  class Charts {
    @WithoutMedplum()
    static read() {}
  }
  return Charts;
};

describe('@WithoutMedplum()', () => {
  @Controller('base')
  @OnBehalfOf()
  class Base {
    @Get('a')
    a() {}

    @Get('b')
    @AsClientApplication()
    b() {}
  }
  @Controller('plain')
  @WithoutMedplum()
  class Plain extends Base {
    @Get('c')
    c() {}

    @Get('d')
    @OnBehalfOf()
    d() {}
  }
  @Controller('again')
  @OnBehalfOf(WhoAsks)
  class Again extends Plain {}

  it('takes away what the class and its bases say, and what is nearer to the handler wins', async () => {
    const report = await start({ controllers: [Plain, Again] });
    expect(lines(report).toSorted()).toEqual([
      'http GET /again/a Again.a: default OnBehalfOf WhoAsks',
      'http GET /again/b Again.b: default AsClientApplication',
      'http GET /again/c Again.c: default OnBehalfOf WhoAsks',
      'http GET /again/d Again.d: default OnBehalfOf resolveOnBehalfOf',
      'http GET /plain/a Plain.a: without',
      'http GET /plain/b Plain.b: default AsClientApplication',
      'http GET /plain/c Plain.c: without',
      'http GET /plain/d Plain.d: default OnBehalfOf resolveOnBehalfOf',
    ]);
  });

  it('beside another decorator on the same handler or class stops the app', async () => {
    @Controller()
    class ByMethod {
      @Get()
      @OnBehalfOf()
      @WithoutMedplum()
      read() {}
    }
    @Controller()
    @WithoutMedplum()
    @AsClientApplication()
    class ByClass {
      @Get()
      read() {}
    }
    const contradiction = /@WithoutMedplum\(\) says that it does not use Medplum, .* Remove one of them/;
    await expect(start({ controllers: [ByMethod] })).rejects.toThrow(/- ByMethod\.read: /);
    await expect(start({ controllers: [ByMethod] })).rejects.toThrow(contradiction);
    await expect(start({ controllers: [ByClass] })).rejects.toThrow(/- ByClass: /);
    await expect(start({ controllers: [ByClass] })).rejects.toThrow(contradiction);
  });

  it('is an error at once on a static method', () => {
    expect(onStatic).toThrow(/@WithoutMedplum\(\) is on read, which is not a method of an instance/);
  });
});

describe("routes: 'enforce'", () => {
  @Controller('charts')
  class Charts {
    @Get(':id')
    read() {}

    @Get()
    @OnBehalfOf()
    list() {}

    @Post()
    create() {}
  }
  @Controller('health')
  class Health {
    @Get()
    check() {}
  }
  @Controller('about')
  @WithoutMedplum()
  class About {
    @Get()
    read() {}
  }

  it('stops the app, and lists every handler that says nothing, with the remedy', async () => {
    const failing = start({ controllers: [Charts, Health, About] }, { routes: 'enforce' });
    await expect(failing).rejects.toThrow(MedplumConfigError);
    await expect(failing).rejects.toThrow(
      [
        "These handlers do not say how they act, and routes: 'enforce' asks every handler to:",
        '- Charts.read (GET /charts/:id)',
        '- Charts.create (POST /charts)',
        '- Health.check (GET /health)',
        'Decorate each of them, or its class: @OnBehalfOf() if it calls Medplum for a user, @AsClientApplication() if it needs the rights of the client, @WithoutMedplum() if it makes no calls.',
      ].join('\n'),
    );
  });

  it('is off unless you say so', async () => {
    expect((await start({ controllers: [Charts, Health] })).undecided).toHaveLength(3);
    await app?.close();
    await start({ controllers: [Charts] }, { routes: 'off' });
    await app?.close();
    await start({ controllers: [Charts] }, { routes: { mode: 'off', exclude: [Charts] } });
  });

  it.each<readonly [string, readonly (Type | string)[]]>([
    ['a class', [Health, 'Charts.read', 'Charts.create']],
    ['the name of a class', ['Health', 'Charts']],
  ])('leaves out what you exclude: %s', async (_what, exclude) => {
    const report = await start({ controllers: [Charts, Health, About] }, { routes: { mode: 'enforce', exclude } });
    expect(report.undecided).toEqual([]);
    expect(report.routes.map(({ handler }) => handler)).toEqual(['read', 'list', 'create', 'check', 'read']);
  });

  it('may come from any client, beside an async factory too, and all exclusions count', async () => {
    const lab = MedplumModule.forRootAsync({
      name: 'lab',
      routes: { mode: 'enforce', exclude: [Health] },
      useFactory: () => LAB,
    });
    const routes = { mode: 'off', exclude: ['Charts.read'] } as const;
    await expect(start({ controllers: [Charts, Health], imports: [lab] }, { routes })).rejects.toThrow(
      /to:\n- Charts\.create \(POST \/charts\)\nDecorate/,
    );
  });

  it('counts for lazily loaded modules', async () => {
    @Module({ controllers: [Health] })
    class LazyModule {}
    await start({}, { routes: 'enforce' });
    const load = () => app?.module.get(LazyModuleLoader).load(() => LazyModule);
    await expect(load()).rejects.toThrow(/- Health\.check \(GET \/health\)/);
  });

  it('names wrong decorators in the same error', async () => {
    @Injectable()
    class Service {
      @OnBehalfOf()
      run() {}
    }
    const failing = start({ controllers: [Health], providers: [Service] }, { routes: 'enforce' });
    await expect(failing).rejects.toThrow(/- Service\.run: .*\n.*\n- Health\.check/);
  });

  it.each([
    'on',
    { mode: 'on' },
    { mode: 'enforce', exclude: 'Health' },
    { mode: 'enforce', exclude: [1] },
    { exclude: [] },
    { mode: 'off', excluded: [] },
  ])('is refused with a value that makes no sense: %j', (routes) => {
    const make = () => MedplumModule.forRoot({ ...LAB, routes: routes as never });
    expect(make).toThrow(MedplumConfigError);
    expect(make).toThrow("The option routes must be 'off', 'enforce' or { mode, exclude }");
  });
});
