import {
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Logger,
  Scope,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import {
  type ContextId,
  ContextIdFactory,
  ExternalContextCreator,
  type HostComponentInfo,
  REQUEST,
} from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { MedplumModule, MedplumService, OnBehalfOf, type OnBehalfOfResolver } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { startMedplumApp } from '../support/medplum-app';
import { listen } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer } from '../support/wire-server';

interface WithUser {
  readonly tenant?: string;
  readonly user?: { readonly membership?: string };
}

/** Would act for whoever it was created for. */
@Injectable({ scope: Scope.REQUEST, durable: true })
class DurableResolver implements OnBehalfOfResolver {
  constructor(@Inject(REQUEST) private readonly request: WithUser | undefined) {}

  resolve() {
    return this.request?.user?.membership;
  }
}

@Injectable({ scope: Scope.REQUEST, durable: true })
class Tenant {
  constructor(@Inject(REQUEST) readonly request: WithUser | undefined) {}
}

/** Durable by its dependency. */
@Injectable()
class TenantResolver implements OnBehalfOfResolver {
  constructor(private readonly tenant: Tenant) {}

  resolve(context: ExecutionContext) {
    const kept = this.tenant.request;
    return kept?.user?.membership ?? context.switchToHttp().getRequest<WithUser>().user?.membership;
  }
}

/** Request-scoped, over a durable provider. */
@Injectable({ scope: Scope.REQUEST })
class MixedResolver implements OnBehalfOfResolver {
  constructor(
    @Inject(REQUEST) private readonly request: WithUser,
    private readonly tenant: Tenant,
  ) {}

  resolve() {
    return this.tenant.request?.user?.membership ?? this.request.user?.membership;
  }
}

@Controller()
@UseGuards(TestUserGuard)
class Charts {
  constructor(private readonly medplum: MedplumService) {}

  private async who() {
    return { who: this.medplum.currentOnBehalfOf };
  }

  @Get('durable')
  @OnBehalfOf(DurableResolver)
  durable() {
    return this.who();
  }

  @Get('by-dependency')
  @OnBehalfOf(TenantResolver)
  byDependency() {
    return this.who();
  }

  @Get('mixed')
  @OnBehalfOf(MixedResolver)
  mixed() {
    return this.who();
  }
}

/** All requests belong to one tenant. */
function oneTenant(payload: object | undefined) {
  const parent = ContextIdFactory.create();
  return {
    attach: (contextId: ContextId) => {
      const resolve = (info: HostComponentInfo) => (info.isTreeDurable ? parent : contextId);
      return payload ? { resolve, payload } : resolve;
    },
  };
}

const USERS = Array.from({ length: 25 }, (_, n) => `user${n}`);

async function ask(path: string, payload: object | undefined) {
  ContextIdFactory.apply(oneTenant(payload));
  const wire = await WireServer.start();
  const module = await Test.createTestingModule({
    imports: [MedplumModule.forRoot(wire.options())],
    controllers: [Charts],
    providers: [DurableResolver, Tenant, TenantResolver, MixedResolver],
  }).compile();
  const { app, url } = await listen(module, 'express');
  try {
    return await Promise.all(
      USERS.map(async (user) => {
        const response = await fetch(`${url}/${path}`, { headers: { 'x-test-user': user } });
        const { who } = (await response.json()) as { readonly who?: string };
        return response.status === 200 ? who : response.status;
      }),
    );
  } finally {
    await closeAll(app, wire);
  }
}

beforeEach(() => {
  jest.spyOn(Logger.prototype, 'warn').mockImplementation();
  jest.spyOn(Logger.prototype, 'error').mockImplementation();
});

afterEach(() => {
  jest.restoreAllMocks();
  ContextIdFactory.apply(undefined as never);
});

const OWN = USERS.map((user) => `ProjectMembership/${user}`);

describe('Resolvers under a ContextIdStrategy', () => {
  it.each([
    ['durable', 'no payload', undefined, USERS.map(() => 403)],
    ['durable', 'a payload', { tenant: 't1' }, USERS.map(() => 403)],
    ['by-dependency', 'no payload', undefined, OWN],
    ['by-dependency', 'a payload', { tenant: 't1' }, OWN],
    ['mixed', 'no payload', undefined, USERS.map(() => 500)],
    ['mixed', 'a payload', { tenant: 't1' }, OWN],
  ])('%s, with %s: never act for the user of another request', async (path, _what, payload, expected) => {
    expect(await ask(path, payload)).toEqual(expected);
  });
});

@Injectable({ scope: Scope.REQUEST })
class GraphqlResolver implements OnBehalfOfResolver {
  constructor(@Inject(REQUEST) private readonly context: { readonly loginOf?: string }) {}

  resolve() {
    return this.context.loginOf;
  }
}

@Injectable()
class ChartResolver {
  constructor(private readonly medplum: MedplumService) {}

  @SetMetadata('graphql:resolver_type', 'Query')
  @OnBehalfOf(GraphqlResolver)
  async chart() {
    return this.medplum.currentOnBehalfOf;
  }
}

it('A request-scoped resolver gets the GraphQL context', async () => {
  const app = await startMedplumApp({}, { providers: [ChartResolver, GraphqlResolver] });
  try {
    const chart = app.module.get(ExternalContextCreator, { strict: false }).create(
      app.module.get(ChartResolver),
      // oxlint-disable-next-line typescript/unbound-method -- Nest binds it to the instance
      ChartResolver.prototype.chart,
      'chart',
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      'graphql',
    ) as (...args: unknown[]) => Promise<unknown>;
    expect(await chart({}, {}, { req: { user: {} }, loginOf: 'ann' }, {})).toBe('ProjectMembership/ann');
  } finally {
    await app.close();
  }
});
