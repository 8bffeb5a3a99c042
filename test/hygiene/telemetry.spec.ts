import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';
import { MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';
import { consume, SURFACE } from '../service/surface';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { leaksOf, PLANTED, plantedIn } from '../support/planted';
import { page, refusal, startTaintedApp } from '../support/tainted-app';
import { Telemetry } from '../support/telemetry';
import { have, ONE_OF_EACH } from './mishaps/all.mishaps';

const traced = { imports: [MedplumOpenTelemetryModule.forRoot()] };

let telemetry: Telemetry;
let log: CapturedLog;

beforeEach(() => {
  log = captureLog();
  telemetry = new Telemetry();
});
afterEach(async () => {
  await telemetry.close();
  log.restore();
});

describe('spans and metrics show nothing planted', () => {
  it.each(ONE_OF_EACH)('for %s', async (_name, mishap) => {
    const { app } = await have(mishap, traced);
    // A delegation that is refused is no request, so it has no span.
    const calls = app.events.filter(({ action }) => action !== 'delegation');
    expect(telemetry.ours.length).toBeGreaterThanOrEqual(calls.length > 0 ? 1 : 0);
    expect(plantedIn(await telemetry.everything())).toEqual([]);
    expect(leaksOf(telemetry.ours.map(({ attributes, events, status }) => ({ attributes, events, status })))).toEqual(
      [],
    );
  });

  it('for calls that succeed', async () => {
    const app = await startTaintedApp({}, undefined, traced);
    for (const use of Object.values(SURFACE)) {
      await consume(await app.medplum.onBehalfOf(PLANTED.membership, () => use(app.medplum, {})));
    }
    await app.medplum.get(`fhir/R4/Patient/${PLANTED.record}?name=${PLANTED.query}`, {
      onBehalfOf: PLANTED.membership,
    });
    await app.close();
    expect(telemetry.ours.length).toBeGreaterThan(Object.keys(SURFACE).length);
    expect(plantedIn(await telemetry.everything())).toEqual([]);
  });
});

describe('the health check', () => {
  it('rejects unknown options without repeating their names', () => {
    const wrong = { [`${PLANTED.clientSecret}-4711`]: 1, ttl: PLANTED.record } as object;
    expect(() => MedplumHealthModule.forRoot(wrong)).toThrow(
      expect.objectContaining({ code: 'MEDPLUM_CONFIG', message: expect.not.stringContaining('planted') }),
    );
  });

  it.each([
    ['is up', undefined],
    ['refuses the credentials', refusal(401)],
    ['sends an HTML page', page(200)],
    ['is down', page(503)],
  ])('shows nothing planted when the server %s', async (_how, handler) => {
    const app = await startTaintedApp({}, handler, { imports: [MedplumHealthModule.forRoot({})] });
    const indicator = app.module.get(MedplumHealthIndicator, { strict: false });
    const result = await indicator.isHealthy('medplum');
    await app.close();
    expect(leaksOf([result, indicator, app.events, log.given])).toEqual([]);
  });
});
