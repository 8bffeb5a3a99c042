import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Controller,
  type ExceptionFilter,
  Get,
  Injectable,
  Logger,
  type NestInterceptor,
  type OnModuleInit,
  Query,
  type PipeTransform,
  SetMetadata,
  type Type,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { InjectMedplum, MedplumModule, MedplumService, OnBehalfOf, WithoutMedplum } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { listen } from '../support/platforms';
import { resourceAsked, WireServer } from '../support/wire-server';

const told: string[] = [];

/** Makes a call, and keeps what it is told when it is refused. */
const call = async (medplum: MedplumService): Promise<void> => {
  await medplum.readResource('Patient', '1').catch((error: Error) => void told.push(error.message));
};

@Injectable()
class CallingGuard implements CanActivate {
  constructor(private readonly medplum: MedplumService) {}
  async canActivate(): Promise<boolean> {
    await call(this.medplum);
    return true;
  }
}

@Injectable()
class CallingInterceptor implements NestInterceptor {
  constructor(private readonly medplum: MedplumService) {}
  async intercept(_context: unknown, next: CallHandler) {
    await call(this.medplum);
    return next.handle();
  }
}

@Injectable()
class CallingFilter implements ExceptionFilter {
  constructor(private readonly medplum: MedplumService) {}
  async catch(_error: unknown, host: ArgumentsHost) {
    await call(this.medplum);
    host.switchToHttp().getResponse<{ send(text: string): void }>().send('caught');
  }
}

@Injectable()
class CallingPipe implements PipeTransform {
  constructor(private readonly medplum: MedplumService) {}
  async transform(value: unknown) {
    await call(this.medplum);
    return value;
  }
}

@Controller()
class Charts {
  constructor(
    private readonly medplum: MedplumService,
    @InjectMedplum('lab') private readonly lab: MedplumService,
  ) {}

  @Get('guard')
  @OnBehalfOf('Practitioner/a')
  @UseGuards(CallingGuard)
  guarded(): void {}

  @Get('interceptor')
  @OnBehalfOf('Practitioner/a')
  @UseInterceptors(CallingInterceptor)
  intercepted(): void {}

  @Get('filter')
  @UseFilters(CallingFilter)
  @OnBehalfOf('Practitioner/a')
  failing(): never {
    throw new Error('planned');
  }

  @Get('pipe')
  @OnBehalfOf('Practitioner/a')
  piped(@Query('q', CallingPipe) _query: unknown): void {}

  @Get('other-client')
  @OnBehalfOf('Practitioner/a')
  other() {
    return call(this.lab);
  }

  @Get('undecorated')
  undecorated() {
    return call(this.medplum);
  }

  @Get('undecorated-lab')
  undecoratedLab() {
    return call(this.lab);
  }
}

@Injectable()
class Early implements OnModuleInit {
  readonly made: Promise<void>;
  constructor(private readonly medplum: MedplumService) {
    this.made = call(medplum);
  }
  async onModuleInit() {
    await this.made;
    await call(this.medplum);
  }
}

@Injectable()
class PatientResolver {
  constructor(readonly medplum: MedplumService) {}

  @SetMetadata('graphql:resolver_type', 'Query')
  @OnBehalfOf('Practitioner/a')
  patient(): void {}

  @SetMetadata('graphql:resolve_property', 'conditions')
  conditions() {
    return call(this.medplum);
  }
}

@Controller('about')
@WithoutMedplum()
class About {
  constructor(private readonly medplum: MedplumService) {}

  @Get()
  read() {
    return call(this.medplum);
  }
}

const NOTHING_SENT =
  'This call to Medplum has no identity, so it would run with the rights of the client, a project admin. Nothing was sent. ';

describe('A call without an identity', () => {
  let wire: WireServer;
  let app: Awaited<ReturnType<typeof listen>>;

  const start = async (providers: Type[], controllers: Type[] = [Charts]) => {
    const module = await Test.createTestingModule({
      imports: [
        MedplumModule.forRoot(wire.options()),
        MedplumModule.forRoot({ ...wire.options(), name: 'lab', clientId: 'lab' }),
      ],
      controllers,
      providers,
    }).compile();
    app = await listen(module, 'fastify');
  };

  beforeEach(async () => {
    told.length = 0;
    jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    wire = await WireServer.start(resourceAskedHandler);
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await closeAll(app.app, wire);
  });

  const ask = async (path: string): Promise<string> => {
    await (await fetch(`${app.url}/${path}`)).text();
    expect(told).toHaveLength(1);
    expect(wire.requests).toEqual([]);
    return told[0] ?? '';
  };

  it.each(['guard', 'interceptor', 'filter', 'undecorated'])('%s: is told where scopes begin and end', async (path) => {
    await start([]);
    const message = await ask(path);
    expect(message).toMatch(NOTHING_SENT);
    expect(message).toContain(
      'Handlers are decorated for this client (Charts.guarded and 4 more), but the call is made',
    );
    expect(message).toContain(
      'a scope begins after the guards and after the interceptors that run first (global ones, and those below',
    );
    expect(message).toContain('it does not cover exception filters');
    expect(message).toContain('If it is none of them, decorate it with @OnBehalfOf().');
    expect(message).not.toContain('GraphQL');
  });

  it('has one in a pipe, as the message says', async () => {
    await start([]);
    await fetch(`${app.url}/pipe?q=1`);
    expect(told).toEqual([]);
    expect(wire.identities).toEqual(['Practitioner/a']);
  });

  it('is told that the scope around it is one of another client', async () => {
    await start([]);
    expect(await ask('other-client')).toContain(
      'It runs in a scope of the client "default", and it is a call of the client "lab". Each client has its own scopes. Decorate the handler for "lab" as well',
    );
  });

  it('is told that no handler is decorated, if none is for its client', async () => {
    await start([]);
    expect(await ask('undecorated-lab')).toContain(
      'No handler of this app is decorated for the client "lab". Decorate the handler with @OnBehalfOf(), or pass { onBehalfOf }.',
    );
  });

  it('is told of the start of the app, in a constructor and in onModuleInit()', async () => {
    await start([Early]);
    expect(told).toHaveLength(2);
    for (const message of told) {
      expect(message).toMatch(NOTHING_SENT);
      expect(message).toContain(
        'It is made before the app has started: in a constructor, in onModuleInit() or the like',
      );
      expect(message).toContain('use actingAs() or @RunOnBehalfOf()');
    }
  });

  it.each([[[About, Charts]], [[About]]])('is told of @WithoutMedplum(), if a handler has it', async (controllers) => {
    await start([], controllers);
    expect(await ask('about')).toContain(
      'Handlers with @WithoutMedplum() have no identity (About.read): if the call belongs to one, put @OnBehalfOf() in its place.',
    );
  });

  it('is told of field resolvers, if the app has undecorated ones', async () => {
    await start([PatientResolver]);
    await app.app.get(PatientResolver).conditions();
    expect(told).toEqual([
      expect.stringContaining(
        'GraphQL calls field resolvers outside of the scope of their query (PatientResolver.conditions): decorate them',
      ),
    ]);
  });
});

function resourceAskedHandler(request: Parameters<typeof resourceAsked>[0]) {
  return { body: resourceAsked(request) };
}
