import { Controller, Get, Headers, type INestApplication, Logger, Param, UseGuards } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { fromUser, MedplumAudit, MedplumModule, MedplumService, OnBehalfOf, type RequestEvent } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { listen, PLATFORMS } from '../support/platforms';
import { seededRandom } from '../support/seeded-random';
import { TestUserGuard } from '../support/test-user.guard';
import { outcome, type WireRequest, WireServer } from '../support/wire-server';

const USERS = 50;
const REQUESTS = 300;

/** Calls as handlers make them: one after another, together, with a pause between. */
@Controller('charts')
@UseGuards(TestUserGuard)
class ChartsController {
  constructor(private readonly medplum: MedplumService) {}

  @Get(':key')
  @OnBehalfOf(fromUser('membership'))
  async chart(@Param('key') key: string) {
    const results = await Promise.allSettled([
      this.medplum.readResource('Patient', `${key}-a`),
      this.medplum.searchResources('Observation', { subject: `Patient/${key}-b` }),
    ]);
    await new Promise((resolve) => setImmediate(resolve));
    results.push(
      ...(await Promise.allSettled([this.medplum.createResource({ resourceType: 'Patient', id: `${key}-c` })])),
    );
    return { who: this.medplum.currentOnBehalfOf, done: results.map(({ status }) => status) };
  }

  @Get(':key/undecorated')
  undecorated(@Param('key') key: string, @Headers('x-test-user') _user: string) {
    return this.medplum.readResource('Patient', `${key}-refused`);
  }
}

const reference = (membership: string | undefined) => `ProjectMembership/${membership}`;

/** Whether a request names whom it is for, exactly once; what is refused must not have been sent. */
function isForItsOwner({ path, body, onBehalfOf, rawHeaders }: WireRequest): boolean {
  const owner = /(user\d+)\.\d+-[abc]/.exec(path + body)?.[1];
  const headers = rawHeaders.filter((name) => name.toLowerCase() === 'x-medplum-on-behalf-of');
  return onBehalfOf === reference(owner) && headers.length === 1 && !path.includes('refused');
}

const byText = (a: unknown, b: unknown) => String(a).localeCompare(String(b));

describe.each(PLATFORMS)('Isolation on %s', (platform) => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;
  const events: RequestEvent[] = [];

  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation();
    jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [
        // With few sockets, calls of different users share one.
        MedplumModule.forRoot(wire.options({ pool: { connections: 4 }, retry: { minTimeout: 1, maxTimeout: 5 } })),
      ],
      controllers: [ChartsController],
    }).compile();
    ({ app, url } = await listen(module, platform));
    app.get(MedplumAudit).events$.subscribe((event) => events.push(event));
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await closeAll(app, wire);
  });

  it(`keeps ${USERS} users apart in ${REQUESTS} concurrent requests with delays and faults`, async () => {
    const random = seededRandom();
    wire.handler = () => {
      const dice = random();
      const delay = random() * 8;
      const busy = { status: 429, headers: { ratelimit: '"fhirInteractions";r=0;t=0' } };
      if (dice < 0.05) return { delay, destroy: true };
      if (dice < 0.1) return { delay, ...busy, body: outcome('too-many-requests', 'throttled', 'Too Many Requests') };
      if (dice < 0.15) return { delay, status: 503, body: 'unavailable' };
      return { delay, body: { resourceType: 'Bundle', id: '1' } };
    };
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, async (_, n) => {
        const membership = `user${n % USERS}`;
        // The browser may send any header. Only the session counts.
        const headers = { 'x-test-user': membership, 'x-medplum-on-behalf-of': 'ProjectMembership/someone-else' };
        const [own, refused] = await Promise.all([
          fetch(`${url}/charts/${membership}.${n}`, { headers }),
          n % 5 === 0 ? fetch(`${url}/charts/${membership}.${n}/undecorated`, { headers }) : undefined,
        ]);
        return { membership, body: (await own.json()) as { who: string }, refused: refused?.status ?? 500 };
      }),
    );

    expect(
      answers.filter(({ membership, body, refused }) => body.who !== reference(membership) || refused !== 500),
    ).toEqual([]);
    expect(wire.requests.length).toBeGreaterThanOrEqual(REQUESTS * 3);
    expect(wire.requests.filter((request) => !isForItsOwner(request))).toEqual([]);

    // One event per call, whose attempts match what went over the wire.
    expect(events).toHaveLength(REQUESTS * 3 + REQUESTS / 5);
    const sent = events.flatMap((event) => event.attempts.map((attempt) => attempt.onBehalfOf)).toSorted(byText);
    expect(sent).toEqual(wire.identities.toSorted(byText));
    const mixed = events.filter(
      ({ attempts, onBehalfOf, outcome: end }) =>
        attempts.some((attempt) => attempt.onBehalfOf !== onBehalfOf) ||
        (end === 'refused') !== (onBehalfOf === undefined),
    );
    expect(mixed).toEqual([]);
  }, 60_000);
});
