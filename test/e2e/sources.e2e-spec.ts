import {
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Inject,
  Injectable,
  Logger,
  Scope,
  UseGuards,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  AsClientApplication,
  fromUser,
  InjectMedplum,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
  type OnBehalfOfResolver,
} from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { listen, PLATFORMS } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer } from '../support/wire-server';

@Injectable()
class Accounts {
  async membershipOf(name: string): Promise<string | undefined> {
    return name === 'nobody' ? undefined : name;
  }
}

interface WithUser {
  readonly user?: { readonly membership?: string };
}

/** A provider of the app. */
@Injectable()
class ProvidedResolver implements OnBehalfOfResolver {
  constructor(private readonly accounts: Accounts) {}

  resolve(context: ExecutionContext) {
    const { user } = context.switchToHttp().getRequest<WithUser>();
    return user?.membership === undefined ? undefined : this.accounts.membershipOf(user.membership);
  }
}

/** Request-scoped: it injects the request. */
@Injectable({ scope: Scope.REQUEST })
class RequestResolver implements OnBehalfOfResolver {
  constructor(@Inject(REQUEST) private readonly request: WithUser) {}

  resolve() {
    return this.request.user?.membership;
  }
}

const made = jest.fn();

/** Not listed in any module. */
@Injectable()
class UnlistedResolver implements OnBehalfOfResolver {
  constructor(private readonly accounts: Accounts) {
    made();
  }

  resolve(context: ExecutionContext) {
    return this.accounts.membershipOf(context.switchToHttp().getRequest<WithUser>().user?.membership ?? 'nobody');
  }
}

@Controller()
@UseGuards(TestUserGuard)
class SourcesController {
  constructor(
    private readonly medplum: MedplumService,
    @InjectMedplum('lab') private readonly lab: MedplumService,
  ) {}

  private async both() {
    return { clinic: this.medplum.currentOnBehalfOf ?? null, lab: this.lab.currentOnBehalfOf ?? null };
  }

  @Get('bare')
  @OnBehalfOf()
  bare() {
    return this.both();
  }

  @Get('provided')
  @OnBehalfOf(ProvidedResolver)
  provided() {
    return this.both();
  }

  @Get('request-scoped')
  @OnBehalfOf(RequestResolver)
  requestScoped() {
    return this.both();
  }

  @Get('unlisted')
  @OnBehalfOf(UnlistedResolver)
  unlisted() {
    return this.both();
  }

  @Get('resource')
  @OnBehalfOf(() => ({ reference: 'Practitioner/p1' }))
  resource() {
    return this.both();
  }

  @Get('two-clients')
  @OnBehalfOf(fromUser('membership'))
  @OnBehalfOf(() => 'technician', { client: 'lab' })
  twoClients() {
    return this.both();
  }

  @Get('lab-as-client')
  @OnBehalfOf(fromUser('membership'))
  @AsClientApplication({ client: 'lab' })
  async labAsClient() {
    await this.lab.readResource('Patient', '1');
    return this.both();
  }

  @Get('inherited-property')
  @OnBehalfOf(fromUser('constructor'))
  inheritedProperty() {
    return this.both();
  }

  @Get('failing')
  @OnBehalfOf(() => {
    throw new Error('directory is down');
  })
  failing() {
    return this.both();
  }
}

describe.each(PLATFORMS)('Sources of identities on %s', (platform) => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    jest.spyOn(Logger.prototype, 'error').mockImplementation();
    wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [
        MedplumModule.forRoot(wire.options({ resolveOnBehalfOf: fromUser('membership') })),
        MedplumModule.forRoot(wire.options({ name: 'lab' })),
      ],
      controllers: [SourcesController],
      providers: [Accounts, ProvidedResolver, RequestResolver],
    }).compile();
    ({ app, url } = await listen(module, platform));
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await closeAll(app, wire);
  });

  const get = async (path: string, who?: string) => {
    const response = await fetch(`${url}/${path}`, { headers: who ? { 'x-test-user': who } : {} });
    return { status: response.status, body: await response.json() };
  };

  it.each(['bare', 'provided', 'request-scoped', 'unlisted'])(
    '%s: each request gets its own identity',
    async (path) => {
      const users = ['ann', 'bob', 'cem', 'dea'];
      expect(await Promise.all(users.map((who) => get(path, who)))).toEqual(
        users.map((who) => ({ status: 200, body: { clinic: `ProjectMembership/${who}`, lab: null } })),
      );
    },
  );

  it.each(['provided', 'unlisted'])('%s: a request without an identity is refused', async (path) => {
    expect((await get(path, 'nobody')).status).toBe(403);
  });

  it('creates an unlisted resolver once', async () => {
    made.mockClear();
    await Promise.all([get('unlisted', 'ann'), get('unlisted', 'bob')]);
    expect(made).not.toHaveBeenCalled();
  });

  it('takes a FHIR Reference', async () => {
    expect((await get('resource')).body).toEqual({ clinic: 'Practitioner/p1', lab: null });
  });

  it('resolves each client separately', async () => {
    expect((await get('two-clients', 'ann')).body).toEqual({
      clinic: 'ProjectMembership/ann',
      lab: 'ProjectMembership/technician',
    });
    expect((await get('lab-as-client', 'ann')).body).toEqual({ clinic: 'ProjectMembership/ann', lab: null });
    expect(wire.identities).toEqual([undefined]);
  });

  it('reads only own properties of request.user', async () => {
    expect((await get('inherited-property', 'ann')).status).toBe(403);
  });

  it('passes on the error that a source throws', async () => {
    expect((await get('failing', 'ann')).status).toBe(500);
  });
});
