import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { OnBehalfOf, MedplumConfigError } from 'nestjs-medplum';
import { ResolveField, Resolver } from '@nestjs/graphql';
import { createClient } from 'graphql-ws';
import type { TestingModule } from '@nestjs/testing';
import { WebSocket } from 'ws';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { type CrowdApp, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';
import { ChartResolver, DOCUMENT, FamilyResolver, TYPE_DEFS } from '../support/graphql-charts';
import { outcome } from '../support/wire-server';

/** What both drivers take of the options of GraphQLModule. */
export interface GraphqlOptions {
  readonly typeDefs: string;
  readonly fieldResolverEnhancers?: ('guards' | 'interceptors')[];
}

/** How the tests run on one driver, and what its clients see. */
export interface GraphqlDriver {
  graphqlModule(options: GraphqlOptions): DynamicModule;
  createApp(module: TestingModule): INestApplication;
  /** The `extensions` of an error, of what a status and a code make of them. */
  extensions(status: number, code: string): object;
  readonly cacheControl: string;
  /** Where a client reads the seconds after which it may try again. */
  retryAfter(response: Response, extensions: object | undefined): unknown;
}

interface GraphqlError {
  readonly message: string;
  readonly extensions?: { readonly code?: string };
}

interface GraphqlBody {
  readonly data?: Readonly<Record<string, Readonly<Record<string, string>> | null>> | null;
  readonly errors?: readonly GraphqlError[];
}

const ENHANCERS: GraphqlOptions = { typeDefs: TYPE_DEFS, fieldResolverEnhancers: ['guards', 'interceptors'] };

/** A field resolver whose decorator does nothing without `fieldResolverEnhancers`. */
@Resolver('Chart')
class BareResolver {
  @ResolveField('bare')
  @OnBehalfOf('ProjectMembership/office')
  bare(): string {
    return 'bare';
  }
}

/** Starts the app of the tests on a driver. */
export async function startGraphqlApp(
  driver: Pick<GraphqlDriver, 'graphqlModule' | 'createApp'>,
  options: GraphqlOptions = ENHANCERS,
  providers: readonly Type[] = [ChartResolver, FamilyResolver],
): Promise<CrowdApp<INestApplication>> {
  return startCrowdApp({ imports: [driver.graphqlModule(options)], providers: [...providers] }, async (module) => {
    const app = driver.createApp(module);
    await app.listen(0, '127.0.0.1');
    return app;
  });
}

/** Sends a document by POST, or by GET. */
export async function ask(
  app: INestApplication,
  query: string,
  { user, variables, byGet = false }: { user?: string; variables?: object; byGet?: boolean } = {},
): Promise<{ readonly response: Response; readonly body: GraphqlBody; readonly text: string }> {
  const url = `${await app.getUrl()}/graphql`;
  const response = await fetch(byGet ? `${url}?query=${encodeURIComponent(query)}` : url, {
    method: byGet ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...(user !== undefined && { 'x-test-user': user }) },
    ...(!byGet && { body: JSON.stringify({ query, variables }) }),
  });
  const text = await response.text();
  return { response, text, body: JSON.parse(text) as GraphqlBody };
}

/** The tests that both drivers have to pass. */
export function testGraphql(driver: GraphqlDriver): void {
  let crowd: CrowdApp<INestApplication>;
  let log: CapturedLog;

  beforeAll(async () => {
    crowd = await startGraphqlApp(driver);
  });

  afterAll(async () => {
    await crowd?.close();
  });

  beforeEach(() => {
    log = captureLog();
    crowd.wire.requests.length = 0;
  });

  afterEach(() => log.restore());

  /** Whom the query acted for, if all fields of the document acted for their own identity. */
  const serve = async ({ membership, key }: Visit): Promise<unknown> => {
    const { body } = await ask(crowd.app, DOCUMENT, { user: membership, variables: { id: key } });
    const mine = `ProjectMembership/${membership}`;
    const office = 'ProjectMembership/office';
    expect(body.data?.['office']).toEqual({ who: office, mine });
    const chart = body.data?.['chart'];
    if (!chart) {
      expect(body.errors).toMatchObject([{ extensions: driver.extensions(404, 'NOT_FOUND') }]);
      throw new Error(body.errors?.[0]?.message);
    }
    const { who, ...others } = chart;
    expect(others).toEqual({ office, family: `${mine}family` });
    return who;
  };

  /** The events of a subscription, or why there are none. */
  const subscribe = async (user: string | undefined, id: string): Promise<unknown[]> => {
    class UserSocket extends WebSocket {
      constructor(address: string, protocols: string) {
        super(address, protocols, { headers: user === undefined ? {} : { 'x-test-user': user } });
      }
    }
    const url = (await crowd.app.getUrl()).replace('http', 'ws');
    const client = createClient({ url: `${url}/graphql`, webSocketImpl: UserSocket, retryAttempts: 0 });
    const answers: unknown[] = [];
    try {
      for await (const answer of client.iterate({ query: `subscription { visits(id: "${id}") }` })) {
        answers.push(answer.errors ? answer.errors[0]?.message : answer.data?.['visits']);
      }
    } catch (error) {
      answers.push((error as readonly GraphqlError[])[0]?.message ?? error);
    } finally {
      await client.dispose();
    }
    return answers;
  };

  it('never mixes up identities: of users, of parallel root fields, of the fields below them', async () => {
    const refuse = async ({ key }: Visit) => {
      const { body } = await ask(crowd.app, `{ undecorated(id: "${key}") { who } }`);
      if (body.errors) {
        throw new Error(body.errors[0]?.message);
      }
    };
    // Seven calls each.
    expect(await sendCrowd(crowd.wire, { serve, refuse }, 6)).toEqual(noMixUps(6));
  });

  it('says with code and status what went wrong, in texts of its own, and keeps the rest of the data', async () => {
    const { body, text } = await ask(crowd.app, DOCUMENT, { user: 'user1', variables: { id: 'user1.3' } });
    expect(body.errors).toMatchObject([
      { message: 'There is no such resource.', extensions: driver.extensions(404, 'NOT_FOUND') },
    ]);
    expect(body.data).toMatchObject({ chart: null, office: { who: 'ProjectMembership/office' } });
    expect(text).not.toContain('taint');
  });

  it('says when to try again', async () => {
    const { handler } = crowd.wire;
    const headers = { ratelimit: '"fhirInteractions";r=0;t=6000' };
    crowd.wire.handler = () => ({ status: 429, headers, body: outcome('too-many-requests', 'throttled', 'taint') });
    const { response, body } = await ask(crowd.app, '{ chart(id: "user1.0") { who } }', { user: 'user1' });
    crowd.wire.handler = handler;
    expect(driver.retryAfter(response, body.errors?.[0]?.extensions)).toBe('6000');
  });

  it('shows no text of the library when the app is wrong', async () => {
    const { body } = await ask(crowd.app, '{ undecorated(id: "user1.0") { who } }', { user: 'user1' });
    expect(body.errors).toEqual([
      expect.objectContaining({
        message: 'Internal server error',
        extensions: driver.extensions(500, 'INTERNAL_SERVER_ERROR'),
      }),
    ]);
    expect(log.text('error')).toContain('This call to Medplum has no identity');
    expect(crowd.wire.requests).toEqual([]);
  });

  it.each([
    [undefined, 401, 'UNAUTHENTICATED', 'Unauthorized'],
    ['without-membership', 403, 'FORBIDDEN', 'Forbidden'],
  ])('refuses the user %s with %i, and serves the fields that need none', async (user, status, code, message) => {
    const { body } = await ask(crowd.app, '{ chart(id: "user1.0") { who } office(id: "user1.0") { who } }', {
      ...(user !== undefined && { user }),
    });
    expect(body.errors).toMatchObject([{ message, path: ['chart'], extensions: driver.extensions(status, code) }]);
    expect(body.data).toEqual({ chart: null, office: { who: 'ProjectMembership/office' } });
    expect(crowd.wire.identities).toEqual(['ProjectMembership/office']);
  });

  it('forbids caches to keep a query that came by GET', async () => {
    const { response, body } = await ask(crowd.app, '{ chart(id: "user1.0") { who } }', { user: 'user1', byGet: true });
    expect(body).toEqual({ data: { chart: { who: 'ProjectMembership/user1' } } });
    expect(response.headers.get('cache-control')).toBe(driver.cacheControl);
  });

  describe('Subscriptions', () => {
    it('act for their own user when each event is read, at the same time', async () => {
      const users = Array.from({ length: 20 }, (_, n) => `user${n}`);
      const answers = await Promise.all(users.map((user) => subscribe(user, `${user}.1`)));
      expect(answers).toEqual(users.map((user) => Array(3).fill(`ProjectMembership/${user}`)));
    });

    it('are refused when nobody is logged in', async () => {
      expect(await subscribe(undefined, 'user1.1')).toEqual(['Unauthorized']);
      expect(crowd.wire.requests).toEqual([]);
    });
  });

  it('does not start when a field resolver would run without its decorator, and says how to mend it', async () => {
    const start = startGraphqlApp(driver, { typeDefs: TYPE_DEFS }, [ChartResolver, BareResolver, FamilyResolver]);
    await expect(start).rejects.toThrow(MedplumConfigError);
    await expect(start).rejects.toThrow(
      /BareResolver\.bare: .*Set fieldResolverEnhancers: \['guards', 'interceptors'\] in the options of GraphQLModule/,
    );
  });

  it('runs a field resolver with @RunOnBehalfOf() for its parent, without that option', async () => {
    const bare = await startGraphqlApp(driver, { typeDefs: TYPE_DEFS }, [FamilyResolver]);
    try {
      const { body } = await ask(bare.app, '{ child(id: "user1.0") { family } }');
      expect(body).toEqual({ data: { child: { family: 'ProjectMembership/user1family' } } });
    } finally {
      await bare.close();
    }
  });
}
