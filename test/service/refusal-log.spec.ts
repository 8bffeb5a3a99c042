import { MedplumConfigError, MedplumError, MedplumModule, type MedplumService } from 'nestjs-medplum';
import { Test } from '@nestjs/testing';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { leaksOf, PLANTED } from '../support/planted';
import { outcome, type WireAnswer } from '../support/wire-server';

let log: CapturedLog;
let app: MedplumApp;

beforeEach(async () => {
  log = captureLog();
  app = await startMedplumApp({ retry: { maxRetries: 0 } });
});
afterEach(async () => {
  await app.close();
  log.restore();
});

type Call = (medplum: MedplumService) => Promise<unknown>;

const RATE_LIMIT = { ratelimit: '"requests";r=59941;t=2' };
/** An answer as Medplum makes it behind the stage of the identity. */
const refusal = (status: number, code: string, text: string): WireAnswer => ({
  status,
  headers: RATE_LIMIT,
  body: outcome('some-id', code, text),
});
/** An answer of the stage of the identity. */
const ofIdentity = (status: number, code: string, text: string): WireAnswer => ({
  status,
  body: outcome('some-id', code, text, false),
});
const forbidden = refusal(403, 'forbidden', 'Forbidden');

async function fail(answer: WireAnswer, call: Call): Promise<void> {
  app.wire.handler = () => answer;
  await expect(call(app.medplum)).rejects.toThrow(MedplumError);
}

const read: Call = (m) => m.readResource('Patient', 'p1', { onBehalfOf: 'm-1' });
const search: Call = (m) => m.search('Patient', 'nmae=a', { onBehalfOf: 'm-1' });
const create: Call = (m) => m.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' });
const asProfile: Call = (m) => m.readResource('Patient', 'p1', { onBehalfOf: 'Practitioner/p1' });
const asClient: Call = (m) => m.readResource('Patient', 'p1', { onBehalfOf: '' });

describe('What the server refuses makes one line that names the likely cause and the fix:', () => {
  it.each<readonly [string, WireAnswer, Call, RegExp]>([
    ['a misspelt parameter', refusal(400, 'invalid', 'Unknown search parameter: nmae'), search, /search parameter/],
    ['a misspelt chain', refusal(400, 'invalid', 'Invalid search parameter at end of chain: x'), search, /a chain/],
    ['a misspelt include', refusal(400, 'invalid', 'Invalid include parameter: Patient:foo'), search, /an include/],
    ['a partial date', refusal(400, 'invalid', 'Invalid date value: 1960'), search, /dateRange\(\)/],
    ['a misspelt type', refusal(400, 'structure', 'Unknown resource type'), search, /resource type is misspelt/],
    ['another type', refusal(400, 'invalid', 'Incorrect resource type: expected A'), create, /type than the path/],
    ['a misspelt field', refusal(400, 'structure', 'Invalid additional property "x"'), create, /field of the resource/],
    [
      'a missing field',
      refusal(400, 'structure', 'Missing required property'),
      create,
      /error.outcome names the field/,
    ],
    ['anything else', refusal(400, 'invalid', 'Content could not be parsed'), create, /found the request invalid/],
    [
      'a GraphQL field',
      refusal(400, 'invalid', 'Cannot query field "x"'),
      (m) => m.graphql('{ x }', { onBehalfOf: 'm-1' }),
      /GraphQL document/,
    ],
    [
      'a bot that throws',
      refusal(400, 'invalid', 'boom'),
      (m) => m.executeBot('b', {}, { onBehalfOf: 'm-1' }),
      /the bot threw/,
    ],
    ['credentials', refusal(401, 'login', 'Unauthorized'), read, /clientId or the clientSecret is wrong.* expired/],
    ['a policy', forbidden, read, /Extend the AccessPolicy of the membership/],
    ['the policy of the client', forbidden, asClient, /access policy of the client itself/],
    [
      'a client that is no admin, at an identity',
      ofIdentity(403, 'forbidden', 'Forbidden'),
      read,
      /client is not a project admin.* Set admin: true on the ProjectMembership of the client/,
    ],
    [
      'a client that is no admin, at memberships',
      forbidden,
      (m) => m.memberships.find({ externalId: 'x' }),
      /the client is not a project admin\. Set admin: true on the ProjectMembership of the client/,
    ],
    [
      'a user at memberships',
      forbidden,
      (m) => m.search('ProjectMembership', '', { onBehalfOf: 'm-1' }),
      /only project admins may use memberships/,
    ],
    [
      'a copy of a project',
      forbidden,
      (m) => m.operations.cloneProject('p', {}, { onBehalfOf: '' }),
      /only super admins may do this/,
    ],
    ['an unknown profile', ofIdentity(403, 'forbidden', 'Forbidden'), asProfile, /no membership .* has this profile/],
    ['an unknown membership', ofIdentity(404, 'not-found', 'Not found'), read, /project .* has no such membership/],
    ['a deleted membership', ofIdentity(410, 'deleted', 'Gone'), read, /membership or its profile was deleted/],
    [
      'an identity, newer',
      refusal(400, 'invalid', 'Authentication error'),
      read,
      /unknown, deleted or without a valid/,
    ],
    ['a quota', refusal(429, 'throttled', 'Too Many Requests'), read, /quota of the client, which all its users share/],
    ['a conflict', refusal(409, 'conflict', 'x'), create, /a duplicate exists/],
    [
      'a signed address',
      { status: 401, headers: { 'content-type': 'text/plain' }, body: 'Invalid signature' },
      (m) => m.bulk.download(`${app.wire.baseUrl}storage/b1?Signature=x`, { onBehalfOf: 'm-1' }),
      /signed address of a file has expired/,
    ],
    ['a page of a proxy', { status: 404, headers: { 'content-type': 'text/html' }, body: '<p>' }, read, /baseUrl/],
    ['too long an address', { status: 431 }, read, /larger than the server/],
  ])('%s', async (_what, answer, call, cause) => {
    await fail(answer, call);
    const [line, ...others] = log.text('warn').split('\n');
    expect(others).toEqual([]);
    expect(line).toMatch(cause);
    expect(line).toMatch(new RegExp(`^(GET|POST) /(fhir/R4|{signed})\\S* was answered with ${answer.status} \\(`));
    expect(log.text('debug')).toBe('');
    // Neither what the caller nor what the server wrote.
    expect(log.given.join('\n')).not.toMatch(/nmae|m-1|\bp1\b|boom|1960|Not found|Unauthorized|some-id/);
  });

  it.each<readonly [number, string, Call, RegExp]>([
    [404, 'not-found', read, /\(not-found\).*the identity may not see it/],
    [404, 'not-found', (m) => m.operations.execute({ operation: 'x' }, { onBehalfOf: 'm-1' }), /no such operation/],
    [410, 'deleted', read, /\(deleted\).*was deleted/],
    [412, 'processing', create, /\(processing\).*another version/],
  ])('%d, but at the level debug, because apps expect it', async (status, code, call, cause) => {
    await fail(refusal(status, code, 'x'), call);
    expect(log.text('debug')).toMatch(cause);
    expect(log.text('warn')).toBe('');
  });

  it('304, at the level debug', async () => {
    await fail({ status: 304 }, (m) =>
      m.readResource('Patient', '1', { onBehalfOf: 'm', headers: { 'if-none-match': 'x' } }),
    );
    expect(log.text('debug')).toMatch(/304.*has not changed/);
  });

  it('a quota that is used up inside a response with 200', async () => {
    const answer = { body: { errors: [{ message: 'Too Many Requests ({})' }], data: { a: null } } };
    await fail(answer, (m) => m.graphql('{ a }', { onBehalfOf: 'm-1' }));
    expect(log.text('warn')).toMatch(/answered with 200 .*quota of the client/);
  });
});

it('Credentials that the token endpoint refuses make one line, which says so', async () => {
  const tokens = await startMedplumApp(
    { auth: 'client-credentials' },
    { handler: () => ({ status: 400, body: { error: 'invalid_request', error_description: 'Invalid secret' } }) },
  );
  try {
    await expect(read(tokens.medplum)).rejects.toThrow(MedplumError);
    expect(log.text('warn')).toMatch(
      /was not sent, because the token endpoint answered with 400 .*clientSecret is wrong/,
    );
    expect(log.text('warn')).not.toMatch(/Invalid secret|\n/);
  } finally {
    await tokens.close();
  }
});

it('A failure of the server or of the network makes no such line', async () => {
  for (const answer of [{ status: 500 }, { status: 503 }, { destroy: true }]) {
    await fail(answer, read);
  }
  expect([log.text('warn'), log.text('debug')]).toEqual(['', '']);
});

it('An identity that the membership check refuses makes one line, and so does its look-up', async () => {
  const checked = await startMedplumApp(
    { membershipCheck: true },
    { handler: () => ({ body: { resourceType: 'ProjectMembership', id: 'm-1', active: false } }) },
  );
  try {
    await expect(read(checked.medplum)).rejects.toThrow(MedplumError);
    expect(log.text('warn')).toMatch(/^GET \/fhir\/R4\/Patient\/{id} was refused.*: it is inactive\./);
    checked.wire.handler = () => forbidden;
    await expect(checked.medplum.readResource('Patient', 'p1', { onBehalfOf: 'm-2' })).rejects.toThrow(MedplumError);
    expect(log.text('warn').split('\n')).toHaveLength(2);
    expect(log.text('warn')).toMatch(
      /GET \/fhir\/R4\/ProjectMembership\/{id} was answered with 403.*not a project admin/,
    );
  } finally {
    await checked.close();
  }
});

it('A line says where the identity came from', async () => {
  const { medplum } = app;
  await fail(forbidden, () => medplum.onBehalfOf('m-1', () => medplum.readResource('Patient', '1')));
  await fail(forbidden, () => medplum.actingAs('m-1').readResource('Observation', '1'));
  await fail(forbidden, (m) => m.readResource('Encounter', '1', { onBehalfOf: 'm-1' }));
  await fail(forbidden, (m) => m.asClientApplication(() => m.readResource('Condition', '1')));
  expect(log.text('warn').match(/Identity: [^.]*/g)).toEqual([
    'Identity: scope',
    'Identity: default',
    'Identity: per-call',
    'Identity: none, as the client itself',
  ]);
});

it('Lines of one kind are written once a minute, with the number of those left out', async () => {
  const now = performance.now();
  const clock = jest.spyOn(performance, 'now').mockReturnValue(now);
  try {
    for (let i = 0; i < 5; i++) {
      await fail(forbidden, read);
    }
    await fail(forbidden, (m) => m.readResource('Observation', '1', { onBehalfOf: 'm-1' }));
    // What is wrong with the set-up is one kind, whatever the request is.
    await fail(refusal(401, 'login', 'x'), read);
    await fail(refusal(401, 'login', 'x'), search);
    expect(
      log
        .text('warn')
        .split('\n')
        .map((line) => /^\S+ \S+ was answered with \d+/.exec(line)?.[0]),
    ).toEqual([
      'GET /fhir/R4/Patient/{id} was answered with 403',
      'GET /fhir/R4/Observation/{id} was answered with 403',
      'GET /fhir/R4/Patient/{id} was answered with 401',
    ]);
    clock.mockReturnValue(now + 61_000);
    await fail(forbidden, read);
    expect(log.text('warn').split('\n').at(-1)).toMatch(/\(4 more like it since the last such line\.\)$/);
    clock.mockReturnValue(now + 122_000);
    await fail(forbidden, read);
    expect(log.text('warn').split('\n').at(-1)).not.toMatch(/more like it/);
  } finally {
    clock.mockRestore();
  }
});

it('Nothing of the request or the response is in a line', async () => {
  const { server, record, membership, query } = PLANTED;
  const body = {
    resourceType: 'OperationOutcome',
    id: server,
    issue: [{ severity: server, code: server, details: { text: server }, diagnostics: server, expression: [server] }],
  };
  for (const status of [400, 401, 403, 404, 405, 409, 410, 412, 415, 418, 429]) {
    const answer = { status, body, headers: { 'x-request-id': server, ratelimit: server } };
    await fail(answer, (m) => m.readResource('Patient', record, { onBehalfOf: membership }));
    await fail(answer, (m) => m.get(`fhir/R4/Plantedname/${record}?${query}=${query}`, { onBehalfOf: membership }));
  }
  expect(log.given.length).toBeGreaterThan(10);
  expect(leaksOf(log.given)).toEqual([]);
  expect(log.given.join('\n')).not.toContain('Plantedname');
});

const start = (debugErrors: boolean) =>
  Test.createTestingModule({
    imports: [MedplumModule.forRoot({ clientId: 'c', clientSecret: 's', debugErrors })],
  }).compile();

describe('debugErrors', () => {
  it('adds the texts of the outcome, in one line', async () => {
    const debugging = await startMedplumApp(
      { debugErrors: true },
      { handler: () => refusal(400, 'invalid', 'Unknown search parameter:\nnmae') },
    );
    try {
      await expect(search(debugging.medplum)).rejects.toThrow(MedplumError);
      expect(log.text('warn')).toMatch(
        /search parameters of the type\. debugErrors: \{"text":"Unknown search parameter:\\nnmae"\}$/,
      );
    } finally {
      await debugging.close();
    }
  });

  it('is refused at start in production', async () => {
    const replaced = jest.replaceProperty(process, 'env', { ...process.env, NODE_ENV: 'production' });
    try {
      await expect(start(true)).rejects.toThrow(MedplumConfigError);
      await expect(start(true)).rejects.toThrow(/debugErrors must not be true with NODE_ENV=production/);
      await (await start(false)).close();
    } finally {
      replaced.restore();
    }
  });
});
