import { request } from 'node:http';
import { connect } from 'node:net';
import * as fc from 'fast-check';
import { MedplumEmulator, type SeededMember } from 'nestjs-medplum/testing';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'];
const SEGMENTS = [
  'fhir',
  'R4',
  'Patient',
  'Binary',
  'AccessPolicy',
  'ProjectMembership',
  'Frobnicator',
  '$everything',
  '$graphql',
  '$export',
  '$validate',
  '_history',
  '_search',
  'metadata',
  'job',
  'status',
  'admin',
  'projects',
  'invite',
  'client',
  'members',
  'storage',
  'oauth2',
  'token',
  'auth',
  'me',
  '__proto__',
  'constructor',
  '..',
  '',
  '%',
  '%00',
  '%2F',
  '00000000-0000-4000-8000-000000000001',
];
const PARAMETERS = [
  '_count',
  '_offset',
  '_sort',
  '_total',
  '_summary',
  '_fields',
  '_type',
  '_cursor',
  '_include',
  '_revinclude',
  '_has',
  '_has:Observation:subject:status',
  '_filter',
  '_id',
  '_lastUpdated',
  '_compartment',
  'name',
  'name:exact',
  'birthdate',
  'gender:missing',
  'identifier',
  'organization.name',
  'subject:Patient.name',
  '__proto__',
  'constructor',
  '',
];

const word = fc.oneof(fc.constantFrom(...SEGMENTS), fc.string({ maxLength: 12 }));
const query = fc.array(
  fc.tuple(
    fc.constantFrom(...PARAMETERS),
    fc.oneof(
      fc.string(),
      fc.constantFrom(
        '-1',
        '1e99',
        'NaN',
        ',',
        '|',
        'Patient:general-practitioner',
        'name eq x',
        '2-1',
        'Observation:subject',
      ),
    ),
  ),
  { maxLength: 4 },
);
const path = fc.tuple(fc.boolean(), fc.array(word, { maxLength: 5 }), query).map(([fhir, words, pairs]) => {
  const segments = [
    ...(fhir ? ['fhir', 'R4'] : []),
    ...words.map((text) => (SEGMENTS.includes(text) ? text : encodeURIComponent(text))),
  ];
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return `/${segments.join('/')}${search ? `?${search}` : ''}`;
});
const fhirLike = fc.record(
  {
    resourceType: fc.oneof(
      fc.constantFrom('Patient', 'Bundle', 'Binary', 'AccessPolicy', 'ProjectMembership', 'Parameters', '__proto__'),
      fc.jsonValue(),
    ),
    type: fc.constantFrom('batch', 'transaction', 'x'),
    id: fc.jsonValue(),
    meta: fc.jsonValue(),
    name: fc.jsonValue(),
    resource: fc.jsonValue(),
    query: fc.constantFrom('{ PatientList { id } }', '{', 'mutation { x }'),
    entry: fc.array(
      fc.record(
        {
          fullUrl: fc.jsonValue(),
          resource: fc.jsonValue(),
          request: fc.oneof(
            fc.jsonValue(),
            fc.record({ method: fc.constantFrom(...METHODS), url: word, ifMatch: fc.jsonValue() }),
          ),
        },
        { requiredKeys: [] },
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc.constant(undefined),
  fc.string(),
  fhirLike.map((value) => JSON.stringify(value)),
  fc.json(),
);
const headers = fc.record(
  {
    'content-type': fc.constantFrom(
      'application/fhir+json',
      'application/json-patch+json',
      'application/x-www-form-urlencoded',
      'text/plain',
      'application/json; charset=frob',
      ';',
    ),
    'content-encoding': fc.constantFrom('gzip', 'br', 'deflate', 'frob'),
    'x-medplum': fc.constantFrom('extended', 'x'),
    prefer: fc.constantFrom('return=minimal', 'respond-async'),
    'if-match': fc.constantFrom('*', 'W/"x"', '"'),
    'if-none-match': fc.constantFrom('*', 'x', ','),
    'if-none-exist': fc.constantFrom('', 'x', 'identifier=a|b', '?', '_has:x'),
    traceparent: fc.string({ unit: fc.constantFrom('0', '-', 'f') }),
  },
  { requiredKeys: [] },
);

describe('the emulator under random requests', () => {
  let emulator: MedplumEmulator;
  let member: SeededMember;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start();
    member = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'X' }] },
      policy: [
        { resourceType: '*', criteria: '*?_compartment=x' },
        { resourceType: 'Patient', criteria: 'Patient?frob=1' },
      ],
    });
  });

  afterAll(() => emulator.close());

  const send = (
    method: string,
    target: string,
    sent: Record<string, string>,
    content: string | undefined,
  ): Promise<number> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(emulator.baseUrl);
      const outgoing = request({ hostname, port, method, path: target, headers: sent }, (response) => {
        response
          .resume()
          .on('end', () => resolve(response.statusCode ?? 0))
          .on('error', reject);
      });
      outgoing.on('error', reject);
      outgoing.end(content);
    });

  it('responds to every request with a status that the real server could give', async () => {
    const { clientId, clientSecret } = emulator.options();
    const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    const identity = fc.oneof(
      fc.constantFrom('', member.membership, member.profile, 'ProjectMembership/', 'ProjectMembership/x', ',', '\\'),
      fc.string({ unit: fc.constantFrom('a', '/', ',', ' ', '%') }),
    );
    const login = fc.constantFrom(
      authorization,
      authorization,
      authorization,
      'Basic x',
      'Basic Og==',
      'Bearer ',
      'Bearer a.b.c',
      '',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...METHODS),
        path,
        headers,
        body,
        login,
        fc.option(identity),
        async (method, target, sent, content, auth, onBehalfOf) => {
          const all = {
            ...sent,
            ...(auth && { authorization: auth }),
            ...(onBehalfOf !== null && { 'x-medplum-on-behalf-of': onBehalfOf }),
          };
          const status = await send(method, target, all, content);
          // The server responds with 500 to malformed percent-encoding, to a body that is not encoded as it says, and to
          // nothing else.
          const isMalformed = /%(?![0-9a-f]{2})|%00|%[89a-f]/i.test(target);
          const isUndecodable = Boolean(content) && /^(gzip|br|deflate)$/.test(all['content-encoding'] ?? '');
          expect(status === 500 ? isMalformed || isUndecodable : status >= 200 && status < 500).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
  }, 60_000);

  it('survives bytes that are not HTTP', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await new Promise<void>((resolve) => {
          const socket = connect(Number(new URL(emulator.baseUrl).port), '127.0.0.1', () => socket.end(bytes));
          socket
            .on('error', () => resolve())
            .on('close', () => resolve())
            .resume();
        });
      }),
      { numRuns: 100 },
    );
    await expect(send('GET', '/healthcheck', {}, undefined)).resolves.toBe(200);
  });
});
