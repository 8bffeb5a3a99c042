import * as fc from 'fast-check';
import { isMedplumError, type MedplumService } from 'nestjs-medplum';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { leaksOf } from '../support/planted';

/** The text that must not leak. It contains a digit, because names of types and operations have none. */
const core = fc.stringMatching(/^[a-z]{7}\d[a-z\d]{8}$/);

const graphemes = fc.string({ unit: 'grapheme' });
const ofIds = fc.stringMatching(/^[A-Za-z\d.-]{0,20}$/);

/** The text that must not leak, surrounded by arbitrary other text. */
const text = fc.tuple(graphemes, core, graphemes).map((parts) => parts.join(' '));
const id = fc.tuple(ofIds, core, ofIds).map((parts) => parts.join(''));
const header = fc.tuple(fc.stringMatching(/^[!-~]{1,20}$/), core).map((parts) => parts.join(''));
const path = text.map(encodeURIComponent);

interface Spots {
  readonly id: string;
  readonly membership: string;
  readonly text: string;
  readonly header: string;
  readonly path: string;
  readonly answer: string;
}

const spots = fc.record<Spots>({ id, membership: id, text, header, path, answer: text });

const needleIn = (value: string): string => /[a-z]{7}\d[a-z\d]{8}/.exec(value)?.[0] ?? value;
const patient = ({ id: own, text: name }: Spots) =>
  ({ resourceType: 'Patient', id: own, name: [{ family: name }] }) as const;

type Call = (medplum: MedplumService, spots: Spots, options: object) => Promise<unknown>;

const CALLS: Readonly<Record<string, Call>> = {
  read: (m, s, o) => m.readResource('Patient', s.id, o),
  search: (m, s, o) => m.searchResources('Patient', { name: s.text }, o),
  'search by POST': (m, s, o) => m.search('Patient', `name=${s.path}`, { ...o, post: true }),
  update: (m, s, o) => m.updateResource({ ...patient(s), name: [...patient(s).name] }, o),
  'conditional create': (m, s, o) => m.createResourceIfNoneExist({ resourceType: 'Patient' }, { name: s.text }, o),
  batch: (m, s, o) =>
    m.executeBatch(
      {
        resourceType: 'Bundle',
        type: 'batch',
        entry: [{ request: { method: 'GET', url: `Patient/${s.id}?a=${s.path}` } }],
      },
      o,
    ),
  graphql: (m, s, o) => m.graphql(s.text, { ...o, variables: { [s.id]: s.text } }),
  operation: (m, s, o) =>
    m.operations.execute(
      { operation: '$a', resourceType: 'Patient', id: s.id, method: 'GET', input: { a: s.text } },
      o,
    ),
  job: (m, s, o) => m.bulk.cancelJob(s.id, o),
  bot: (m, s, o) => m.executeBot(s.id, s.text, o),
  upload: (m, s, o) => m.binaries.upload(s.text, { contentType: 'text/plain', securityContext: `Patient/${s.id}` }, o),
  raw: (m, s, o) => m.post(`fhir/R4/${s.path}/${s.id}?${s.path}=${s.path}`, s.text, o),
  'raw, outside of FHIR': (m, s, o) => m.get(`admin/projects/${s.id}/${s.path}`, o),
  'invalid arguments': (m, s, o) => m.readResource(s.text as 'Patient', s.text, { ...o, [s.text]: s.text }),
  'an invalid identity': (m, s) => m.readResource('Patient', s.id, { onBehalfOf: s.text }),
};

/** An OperationOutcome with the same text in every place. */
const outcomeOf = (said: string) => ({
  resourceType: 'OperationOutcome',
  id: said,
  [said]: said,
  extension: [
    { url: 'https://medplum.com/fhir/StructureDefinition/tracing', extension: [{ url: 'requestId', valueId: said }] },
  ],
  issue: [
    {
      code: said,
      diagnostics: said,
      expression: [said],
      details: { text: said, coding: [{ code: said, display: said }] },
    },
  ],
});

let app: MedplumApp;
let log: CapturedLog;

beforeAll(async () => {
  log = captureLog();
  app = await startMedplumApp({ retry: { maxRetries: 0 } });
});
afterAll(async () => {
  await app.close();
  log.restore();
});

describe('neither the error nor the event of a call shows any text of its request or response', () => {
  it.each(Object.entries(CALLS))('%s', async (_name, call) => {
    await fc.assert(
      fc.asyncProperty(spots, fc.constantFrom(200, 400, 401, 403, 404, 412, 429, 500), async (given, status) => {
        app.events.length = 0;
        const body = status === 200 ? `{"resourceType": "${given.answer}` : outcomeOf(given.answer);
        app.wire.handler = () => ({ status, body });
        const options = { onBehalfOf: given.membership, headers: { 'x-test': given.header } };
        const error: unknown = await call(app.medplum, given, options).catch((reason: unknown) => reason);
        const needles = Object.values(given as unknown as Record<string, string>).map(needleIn);
        const find = (shown: string) => needles.filter((needle) => shown.includes(needle));
        // With status 200 the call may succeed: a method that returns text accepts any body.
        expect(isMedplumError(error) || status === 200).toBe(true);
        expect(leaksOf([isMedplumError(error) ? error : undefined, app.events], find)).toEqual([]);
        expect(app.events).toHaveLength(1);
      }),
      { numRuns: 20 },
    );
  });
});
