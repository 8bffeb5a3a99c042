import { Controller, Get, type INestApplication, Param } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MedplumModule, OnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { leaksOf, PLANTED } from '../support/planted';
import { listen, PLATFORMS } from '../support/platforms';
import { have, ONE_OF_EACH } from './mishaps/all.mishaps';

const errors = new Map<string, unknown>();

/** Handlers that fail: with each error, and with identities that are missing or invalid. */
@Controller('patients/:id')
class PatientsController {
  @Get('mishaps/:name')
  @OnBehalfOf(`ProjectMembership/${PLANTED.membership}`)
  fail(@Param('name') name: string): never {
    throw errors.get(name);
  }

  @Get('nobody')
  @OnBehalfOf(() => undefined)
  nobody(): void {}

  @Get('wrong')
  @OnBehalfOf(() => `Group/${PLANTED.membership}`)
  wrong(): void {}
}

/** A path with PHI in it, which must neither come back in the response nor be logged. */
const path = (end: string): string => `patients/${PLANTED.record}/${end}?name=${PLANTED.query}`;

beforeAll(async () => {
  const log = captureLog();
  for (const [name, mishap] of ONE_OF_EACH) {
    errors.set(name, (await have(mishap)).error);
  }
  log.restore();
});

describe.each(PLATFORMS)('responses and logs on %s show nothing planted', (platform) => {
  let log: CapturedLog;
  let app: INestApplication;
  let url: string;

  beforeEach(() => (log = captureLog()));
  afterEach(async () => {
    await closeAll(app);
    log.restore();
  });

  async function start(exceptionFilter: boolean): Promise<void> {
    const { clientId, clientSecret } = PLANTED;
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ clientId, clientSecret, exceptionFilter })],
      controllers: [PatientsController],
    }).compile();
    ({ app, url } = await listen(module, platform));
  }

  /** Returns the status, headers and body of the response. */
  async function ask(end: string, accept: string): Promise<readonly unknown[]> {
    const headers = { accept, 'x-planted': PLANTED.header, 'user-agent': PLANTED.subject };
    const response = await fetch(`${url}/${path(end)}`, { headers });
    return [response.status, Object.fromEntries(response.headers), await response.text()];
  }

  it.each(['application/json', 'application/fhir+json'])('when the exception filter responds in %s', async (accept) => {
    await start(true);
    for (const [name] of ONE_OF_EACH) {
      const answer = await ask(`mishaps/${encodeURIComponent(name)}`, accept);
      expect(answer[0]).toBeGreaterThanOrEqual(300);
      expect(leaksOf(answer)).toEqual([]);
    }
    expect(log.given.length).toBeGreaterThan(0);
    expect(leaksOf(log.given)).toEqual([]);
  });

  it("when Nest's own filter responds", async () => {
    await start(false);
    for (const [name] of ONE_OF_EACH) {
      expect(leaksOf(await ask(`mishaps/${encodeURIComponent(name)}`, '*/*'))).toEqual([]);
    }
    // Nest logs the error objects themselves.
    expect(log.given.some((given) => given instanceof Error)).toBe(true);
    expect(leaksOf(log.given)).toEqual([]);
  });

  it.each([
    ['nobody', 401],
    ['wrong', 500],
  ])('when the route /%s has no valid identity', async (end, status) => {
    await start(true);
    const answer = await ask(end, '*/*');
    expect(answer[0]).toBe(status);
    expect(leaksOf([answer, ...log.given])).toEqual([]);
  });
});
