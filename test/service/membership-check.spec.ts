import { type MembershipCheckOptions, OnBehalfOfRejectedError } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireAnswer, WireHandler } from '../support/wire-server';

let app: MedplumApp;

afterEach(() => app?.close());

const membership = (id: string, more: object = {}) => ({
  resourceType: 'ProjectMembership',
  id,
  profile: { reference: 'Practitioner/p1' },
  accessPolicy: { reference: 'AccessPolicy/a1' },
  ...more,
});

/** Starts an app whose server has these memberships of one profile. */
async function start(memberships: readonly object[], check: true | MembershipCheckOptions = true): Promise<void> {
  const handler: WireHandler = ({ path }): WireAnswer => {
    if (path.startsWith('/fhir/R4/ProjectMembership?')) {
      return {
        body: { resourceType: 'Bundle', type: 'searchset', entry: memberships.map((resource) => ({ resource })) },
      };
    }
    return {
      body: path.startsWith('/fhir/R4/ProjectMembership/')
        ? { ...memberships[0], id: path.split('/').pop() }
        : { resourceType: 'Patient', id: '1' },
    };
  };
  app = await startMedplumApp({ membershipCheck: check }, { handler });
}

const read = (onBehalfOf: string) => app.medplum.readResource('Patient', '1', { onBehalfOf });
const lookUps = () => app.wire.requests.filter(({ path }) => path.includes('ProjectMembership')).length;

it('is off by default', async () => {
  app = await startMedplumApp();
  await read('Practitioner/p1');
  expect(app.wire.identities).toEqual(['Practitioner/p1']);
});

it('looks a profile up once, as the client itself, and then acts as its membership', async () => {
  await start([membership('m1', { active: false }), membership('m2')]);
  await read('Practitioner/p1');
  await read('Practitioner/p1');
  expect(app.wire.identities).toEqual([undefined, 'ProjectMembership/m2', 'ProjectMembership/m2']);
  expect(app.events.map(({ onBehalfOf, reason }) => [onBehalfOf, reason])).toEqual([
    [undefined, 'membershipCheck'],
    ['ProjectMembership/m2', undefined],
    ['ProjectMembership/m2', undefined],
  ]);
});

it.each<readonly [string, readonly object[], RegExp]>([
  ['no membership', [], /no such membership/],
  ['an inactive membership', [membership('m1', { active: false })], /inactive/],
  ['two active memberships', [membership('m1'), membership('m2')], /name one: ProjectMembership/],
  ['the membership of an admin', [membership('m1', { admin: true })], /allowAdminIdentity/],
  [
    'the membership of somebody else',
    [membership('m1', { profile: { reference: 'Practitioner/another' } })],
    /no such membership/,
  ],
])('refuses a profile with %s, and sends nothing for it', async (_what, memberships, why) => {
  await start(memberships);
  const failure: unknown = await read('Practitioner/p1').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(OnBehalfOfRejectedError);
  expect(String(failure)).toMatch(why);
  expect(app.wire.identities).toEqual([undefined]);
  expect(app.events.at(-1)).toMatchObject({ outcome: 'refused', action: 'read', resourceType: 'Patient' });
});

it('refuses the membership of the client itself', async () => {
  await start([membership('m1', { profile: { reference: 'ClientApplication/client-1' } })]);
  await expect(read('m1')).rejects.toThrow(/the client itself/);
  expect(app.wire.identities).toEqual([undefined]);
});

it('allows admins, if the options say so', async () => {
  await start([membership('m1', { admin: true })], { allowAdminIdentity: true });
  await read('m1');
  expect(app.wire.identities).toEqual([undefined, 'ProjectMembership/m1']);
});

it.each<object>([{}, { access: [] }, { accessPolicy: {} }, { access: [{}, { policy: {} }, null] }, { access: {} }])(
  'refuses a membership without any policy (%j), unless requirePolicy is false',
  async (more) => {
    const unrestricted = membership('m1', { accessPolicy: undefined, ...more });
    await start([unrestricted]);
    await expect(read('m1')).rejects.toThrow(/it has no access policy/);
    expect(app.wire.identities).toEqual([undefined]);
    await app.close();
    await start([unrestricted], { requirePolicy: false });
    await read('m1');
    expect(app.wire.identities).toEqual([undefined, 'ProjectMembership/m1']);
  },
);

it('takes a policy of the list access for one', async () => {
  await start([membership('m1', { accessPolicy: undefined, access: [{ policy: { reference: 'AccessPolicy/a1' } }] })]);
  await read('m1');
  expect(app.wire.identities).toEqual([undefined, 'ProjectMembership/m1']);
});

it('looks an identity up once for concurrent calls, and again after invalidate() or when the result has expired', async () => {
  await start([membership('m1')]);
  await Promise.all(Array.from({ length: 20 }, () => read('m1')));
  expect(lookUps()).toBe(1);
  await read('Practitioner/p1');
  expect(lookUps()).toBe(2);
  app.medplum.memberships.invalidate('ProjectMembership/m1');
  await Promise.all([read('m1'), read('Practitioner/p1')]);
  expect(lookUps()).toBe(4);
  const now = performance.now();
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => now + 61_000);
  await read('m1');
  clock.mockRestore();
  expect(lookUps()).toBe(5);
});

it('acts as one membership in all requests of a call, even if the profile gets another one meanwhile', async () => {
  const memberships = [membership('m1')];
  await start(memberships);
  const lookUp = app.wire.handler;
  app.wire.handler = (request, response) =>
    request.path.includes('ProjectMembership')
      ? lookUp(request, response)
      : {
          body: {
            resourceType: 'Bundle',
            type: 'searchset',
            link: request.path.includes('_offset') ? [] : [{ relation: 'next', url: 'fhir/R4/Patient?_offset=1' }],
          },
        };
  const pages = app.medplum.searchResourcePages('Patient', '', { onBehalfOf: 'Practitioner/p1' });
  await pages.next();
  memberships.splice(0, 1, membership('m2'));
  app.medplum.memberships.invalidate('Practitioner/p1');
  await pages.next();
  const searches = app.wire.requests.filter(({ path }) => path.startsWith('/fhir/R4/Patient'));
  expect(searches.map(({ onBehalfOf }) => onBehalfOf)).toEqual(['ProjectMembership/m1', 'ProjectMembership/m1']);
  await app.medplum.search('Patient', '', { onBehalfOf: 'Practitioner/p1' });
  expect(app.wire.identities.at(-1)).toBe('ProjectMembership/m2');
});

it('fails closed: it neither keeps an error nor falls back on an earlier result', async () => {
  await start([membership('m1')], { ttl: 1 });
  await read('m1');
  const { handler } = app.wire;
  app.wire.handler = (request, response) =>
    request.path.includes('ProjectMembership') ? { status: 500, body: {} } : handler(request, response);
  app.medplum.memberships.invalidate('m1');
  const before = app.wire.identities.length;
  await expect(read('m1')).rejects.toMatchObject({ code: 'MEDPLUM_SERVER' });
  expect(new Set(app.wire.identities.slice(before))).toEqual(new Set([undefined]));
  app.wire.handler = handler;
  expect(await read('m1')).toMatchObject({ id: '1' });
});

it('remembers at most maxEntries identities', async () => {
  await start([membership('m1')], { maxEntries: 2 });
  for (const who of ['a', 'b', 'c', 'c', 'b', 'a']) {
    await read(who);
  }
  expect(lookUps()).toBe(4);
});

it('checks nothing for a call without an identity', async () => {
  await start([]);
  await read('');
  expect(app.wire.requests).toHaveLength(1);
});

it.each([
  { ttl: 300_001 },
  { ttl: 0 },
  { maxEntries: 0 },
  { requirePolicy: 'yes' },
  { alowAdminIdentity: true },
  'yes',
])('refuses the options %j', async (check) => {
  await expect(startMedplumApp({ membershipCheck: check as never })).rejects.toThrow(/membershipCheck/);
});

it('delays a call no longer than its limits allow, and still serves a more patient call', async () => {
  await start([membership('m1')]);
  const { handler } = app.wire;
  const waiting: (() => void)[] = [];
  const gate = new Promise<void>((resolve) => waiting.push(resolve));
  app.wire.handler = async (request, response) => {
    await gate;
    return handler(request, response);
  };
  const patient = read('Practitioner/p1');
  const hasty = app.medplum.readResource('Patient', '1', { onBehalfOf: 'Practitioner/p1', timeout: 40 });
  await expect(hasty).rejects.toMatchObject({ code: 'MEDPLUM_TIMEOUT', effect: 'none', retryable: true });
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = app.medplum.readResource('Patient', '1', { onBehalfOf: 'Practitioner/p1', signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: 'MEDPLUM_ABORT' });
  waiting.forEach((resolve) => resolve());
  await expect(patient).resolves.toMatchObject({ id: '1' });
  expect(lookUps()).toBe(1);
  expect(app.wire.requests).toHaveLength(2);
});

it.each([401, 403, 503])(
  'a %d of the look-up is no Response of fetch(), because the call was not sent',
  async (status) => {
    app = await startMedplumApp({ membershipCheck: true, retry: { maxRetries: 0 } }, { handler: () => ({ status }) });
    await expect(app.medplum.fetch('fhir/R4/Patient/1', { onBehalfOf: 'm1' })).rejects.toMatchObject({ status });
    expect(app.wire.requests.map(({ path }) => path)).toEqual(['/fhir/R4/ProjectMembership/m1']);
  },
);

it('gives each call that waits for one look-up an error of its own, which names that call only', async () => {
  await start([]);
  const failures = await Promise.allSettled([
    app.medplum.readResource('Patient', 'homer', { onBehalfOf: 'Practitioner/p1' }),
    app.medplum.readResource('Observation', 'secret', { onBehalfOf: 'Practitioner/p1' }),
  ]);
  const paths = failures.map((failure) => (failure as { reason: OnBehalfOfRejectedError }).reason.request?.path);
  expect(paths).toEqual(['/fhir/R4/Patient/homer', '/fhir/R4/Observation/secret']);
  expect(failures).toMatchObject([
    { reason: { code: 'MEDPLUM_ON_BEHALF_OF_REJECTED' } },
    { reason: { code: 'MEDPLUM_ON_BEHALF_OF_REJECTED' } },
  ]);
  expect(lookUps()).toBe(1);
});
