import { Controller, type INestApplication, type MessageEvent, Param, Sse, UseGuards } from '@nestjs/common';
import { from, map, mergeMap, type Observable } from 'rxjs';
import { fromUser, OnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';
import { listen, PLATFORMS } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';

@Controller()
@UseGuards(TestUserGuard)
class EventsController {
  constructor(private readonly charts: Charts) {}

  /** Its calls run after the handler has returned, and while events are sent. */
  @Sse('visits/:key')
  @OnBehalfOf(fromUser('membership'))
  visits(@Param('key') key: string): Observable<MessageEvent> {
    const { charts } = this;
    return from([() => charts.read(`${key}-first`), () => charts.visit(key)]).pipe(
      mergeMap((call) => call(), 1),
      map((who) => ({ data: who ?? 'nobody' })),
    );
  }

  @Sse('undecorated/:key')
  undecorated(@Param('key') key: string): Observable<MessageEvent> {
    return from(this.charts.read(key)).pipe(map((who) => ({ data: who ?? 'nobody' })));
  }
}

const dataOf = (text: string): string[] => [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => data);

describe.each(PLATFORMS)('Server-sent events on %s', (platform) => {
  let crowd: CrowdApp<INestApplication>;
  let url: string;
  let log: CapturedLog;

  beforeAll(async () => {
    crowd = await startCrowdApp({ controllers: [EventsController] }, async (module) => {
      const started = await listen(module, platform);
      ({ url } = started);
      return started.app;
    });
  });

  afterAll(async () => {
    await crowd?.close();
  });

  beforeEach(() => {
    log = captureLog();
    crowd.wire.requests.length = 0;
  });

  afterEach(() => log.restore());

  const get = async (path: string, user?: string): Promise<{ readonly response: Response; readonly text: string }> => {
    const headers = { accept: 'text/event-stream', ...(user !== undefined && { 'x-test-user': user }) };
    const response = await fetch(`${url}/${path}`, { headers });
    return { response, text: await response.text() };
  };

  it('never mix up the users that listen at the same time', async () => {
    const report = await sendCrowd(crowd.wire, {
      serve: async ({ membership, key }: Visit) => {
        const { text } = await get(`visits/${key}`, membership);
        const [first, second] = dataOf(text);
        if (text.includes('event: error')) {
          throw new Error('failed');
        }
        expect(second).toBe(first);
        return first;
      },
      refuse: async ({ key }) => {
        const { response } = await get(`undecorated/${key}`);
        if (!response.ok) {
          throw new Error('refused');
        }
      },
    });
    expect(report).toEqual(noMixUps());
  });

  it('fail with an event once the stream has begun', async () => {
    const late = await get('visits/user1.3', 'user1');
    expect([late.response.status, late.response.headers.get('cache-control')]).toEqual([
      200,
      expect.stringContaining('no-store'),
    ]);
    expect(late.text).toMatch(/event: error\n(?:id: \d+\n)?data: Internal server error/);
    expect(dataOf(late.text)).toEqual(['ProjectMembership/user1', 'Internal server error']);
  });

  it.each([
    ['visits', undefined, 401, 'Unauthorized'],
    ['visits', 'without-membership', 403, 'Forbidden'],
    ['undecorated', 'user1', 500, 'Internal server error'],
  ])('%s for %s begin no stream: %i', async (path, user, status, message) => {
    const { response, text } = await get(`${path}/user1.0`, user);
    expect(response.status).toBe(status);
    expect(JSON.parse(text)).toMatchObject({ message });
    expect(crowd.wire.requests).toEqual([]);
  });
});
