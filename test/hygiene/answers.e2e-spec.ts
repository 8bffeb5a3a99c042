import { Controller, Get, type INestApplication, Param } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { MedplumModule, OnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { leaksOf, PLANTED } from '../support/planted';
import { listen, PLATFORMS } from '../support/platforms';
import { have, ONE_OF_EACH } from './mishaps/all.mishaps';

const errors = new Map<string, unknown>();

/** The handlers of an app whose calls have gone wrong. */
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

/** What the user says, and what must not come back or be logged. */
const path = (end: string): string => `patients/${PLANTED.record}/${end}?name=${PLANTED.query}`;

beforeAll(async () => {
  const log = captureLog();
  for (const [name, mishap] of ONE_OF_EACH) {
    errors.set(name, (await have(mishap)).error);
  }
  log.restore();
});

describe.each(PLATFORMS)('What users and logs are told, on %s', (platform) => {
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

  /** Status, headers and body of an answer. */
  async function ask(end: string, accept: string): Promise<readonly unknown[]> {
    const headers = { accept, 'x-planted': PLANTED.header, 'user-agent': PLANTED.subject };
    const response = await fetch(`${url}/${path(end)}`, { headers });
    return [response.status, Object.fromEntries(response.headers), await response.text()];
  }

  it.each(['application/json', 'application/fhir+json'])('by the exception filter, in %s', async (accept) => {
    await start(true);
    for (const [name] of ONE_OF_EACH) {
      const answer = await ask(`mishaps/${encodeURIComponent(name)}`, accept);
      expect(answer[0]).toBeGreaterThanOrEqual(300);
      expect(leaksOf(answer)).toEqual([]);
    }
    expect(log.given.length).toBeGreaterThan(0);
    expect(leaksOf(log.given)).toEqual([]);
  });

  it('by the filter of Nest, in its place', async () => {
    await start(false);
    for (const [name] of ONE_OF_EACH) {
      expect(leaksOf(await ask(`mishaps/${encodeURIComponent(name)}`, '*/*'))).toEqual([]);
    }
    // It logs the errors themselves.
    expect(log.given.some((given) => given instanceof Error)).toBe(true);
    expect(leaksOf(log.given)).toEqual([]);
  });

  it.each([
    ['nobody', 401],
    ['wrong', 500],
  ])('by a guard that finds %s', async (end, status) => {
    await start(true);
    const answer = await ask(end, '*/*');
    expect(answer[0]).toBe(status);
    expect(leaksOf([answer, ...log.given])).toEqual([]);
  });
});
