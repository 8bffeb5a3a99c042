import { inspect } from 'node:util';
import { firstValueFrom, Observable } from 'rxjs';
import {
  DelegationError,
  MedplumConfigError,
  type MedplumDelegationOptions,
  type MedplumModuleOptions,
  OnBehalfOfReferenceError,
  OnBehalfOfRejectedError,
  OnBehalfOfRequiredError,
  toFhirAuditEvent,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { delegation, KEY, partsOf, refusalOf } from '../support/delegations';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { MemorySink } from '../support/memory-sink';
import { resourceAsked, type WireHandler } from '../support/wire-server';

let app: MedplumApp;
let log: CapturedLog;

const start = async (options: Partial<MedplumModuleOptions> = {}, handler?: WireHandler): Promise<void> => {
  app = await startMedplumApp({ delegation: delegation(), ...options }, handler ? { handler } : {});
};

beforeEach(() => (log = captureLog()));
afterEach(async () => {
  jest.restoreAllMocks();
  log.restore();
  await app?.close();
});

const FOR = { audience: 'reports', expiresIn: 60_000 } as const;
const tokenFor = (who: string, more: object = {}) =>
  app.medplum.onBehalfOf(who, () => app.medplum.delegate({ ...FOR, ...more }));
const read = () => app.medplum.readResource('Patient', '1');
/** The identities of calls about patients. */
const identities = () => app.wire.requests.filter(({ path }) => path.includes('Patient')).map((one) => one.onBehalfOf);
/** A promise, and the function that settles it. */
function held(): { readonly later: Promise<void>; readonly settle: () => void } {
  const resolvers: (() => void)[] = [];
  const later = new Promise<void>((resolve) => resolvers.push(resolve));
  return { later, settle: () => resolvers.forEach((resolve) => resolve()) };
}
const at = (ms: number) => jest.spyOn(Date, 'now').mockReturnValue(ms);

describe('medplum.delegate() and medplum.runDelegated()', () => {
  it('hand the identity over, and give the result of the function', async () => {
    await start();
    const token = await tokenFor('m1');
    expect(app.medplum.currentOnBehalfOf).toBeUndefined();
    const patient = await app.medplum.runDelegated(token, async () => {
      expect(app.medplum.currentOnBehalfOf).toBe('ProjectMembership/m1');
      return read();
    });
    expect(patient.id).toBe('1');
    expect(identities()).toEqual(['ProjectMembership/m1']);
    await expect(read()).rejects.toThrow(OnBehalfOfRequiredError);
  });

  it('fix the identity when delegate() is called, and keep users apart', async () => {
    await start();
    const users = Array.from({ length: 50 }, (_, i) => `m${i}`);
    const tokens = await Promise.all(users.map((user) => tokenFor(user)));
    const found = await Promise.all(
      tokens.map((token) =>
        app.medplum.runDelegated(token, async () => {
          await read();
          return app.medplum.currentOnBehalfOf;
        }),
      ),
    );
    expect(found).toEqual(users.map((user) => `ProjectMembership/${user}`));
  });

  it('keep the identity of lazy results', async () => {
    await start();
    const token = await tokenFor('m1');
    const lazy = await app.medplum.runDelegated(
      token,
      () => new Observable<unknown>((subscriber) => void read().then((one) => subscriber.next(one))),
    );
    await firstValueFrom(lazy);
    expect(identities()).toEqual(['ProjectMembership/m1']);
  });

  it('end the scope when the function has settled', async () => {
    await start();
    const token = await tokenFor('m1');
    const { later, settle } = held();
    let late: Promise<unknown> = later;
    await app.medplum.runDelegated(token, () => {
      late = later.then(read);
    });
    settle();
    await expect(late).rejects.toThrow(OnBehalfOfRequiredError);
  });

  it('say in the events of calls that a delegation stands behind them, and which only in the form with PHI', async () => {
    await start();
    const token = await tokenFor('m1', { jobId: 'job-of-a-patient' });
    await app.medplum.runDelegated(token, read, { jobId: 'job-of-a-patient' });
    const event = app.events.at(-1);
    const { jti } = partsOf(token).claims;
    expect(event).toMatchObject({ identitySource: 'scope', delegated: true });
    expect(event?.delegation).toEqual({ id: jti, jobId: 'job-of-a-patient' });
    expect(event?.toPhiAudit()).toMatchObject({ delegation: { id: jti, jobId: 'job-of-a-patient' } });
    expect(JSON.stringify(event) + inspect(event)).not.toMatch(new RegExp(`job-of-a-patient|${String(jti)}`));
    await app.medplum.onBehalfOf('m2', read);
    expect(JSON.stringify(app.events.at(-1))).not.toContain('delegat');
  });

  it('make tokens that hold nothing but names and times', async () => {
    await start();
    const { header, claims } = partsOf(await tokenFor('Practitioner/p1', { jobId: 'j1' }));
    expect(header).toEqual({ alg: 'HS256', kid: 'k1', typ: 'medplum-delegation+jwt' });
    expect(claims).toEqual({
      iss: 'nestjs-medplum',
      aud: 'reports',
      sub: 'Practitioner/p1',
      iat: expect.any(Number),
      nbf: claims['iat'],
      exp: Number(claims['iat']) + 60,
      jti: expect.stringMatching(/^[\da-f-]{36}$/),
      realm: expect.stringMatching(/^[\w-]{43}$/),
      job: 'j1',
    });
    expect(JSON.stringify(claims)).not.toMatch(/client-1|secret-1|127\.0\.0\.1/);
  });

  it('write no token into the log, whatever happens to it', async () => {
    await start();
    const token = await tokenFor('m1');
    await app.medplum.runDelegated(token, () => undefined);
    await refusalOf(app.medplum.runDelegated(token, read));
    await refusalOf(app.medplum.runDelegated(`${token}x`, read));
    const [, claims = '', signature = ''] = token.split('.');
    const shown = inspect([log.given, app.events, app.medplum], { depth: 9, showHidden: true });
    expect(shown).not.toContain(claims);
    expect(shown).not.toContain(signature);
    expect(log.text('warn')).toContain('its token was used before');
  });
});

describe('a delegation is not made', () => {
  it.each<readonly [string, (medplum: MedplumApp['medplum']) => Promise<string>]>([
    ['outside of any identity', (m) => m.delegate(FOR)],
    ['for the client itself', (m) => m.asClientApplication(() => m.delegate(FOR))],
    [
      'in a scope of the client within that of a user',
      (m) => m.onBehalfOf('m1', () => m.asClientApplication(() => m.delegate(FOR))),
    ],
  ])('%s', async (_where, make) => {
    await start();
    await expect(make(app.medplum)).rejects.toThrow(OnBehalfOfRequiredError);
    expect(app.events).toMatchObject([
      { action: 'delegation', method: 'NONE', outcome: 'refused', effect: 'none', delegated: true, attempts: [] },
    ]);
    expect(app.wire.requests).toEqual([]);
  });

  it('for the client itself where requireOnBehalfOf is false', async () => {
    await start({ requireOnBehalfOf: false });
    await expect(app.medplum.delegate(FOR)).rejects.toThrow(OnBehalfOfRequiredError);
  });

  it('for emergency access', async () => {
    const breakGlass = { onBehalfOf: 'emergency', alert: () => undefined };
    await start({ breakGlass, audit: { sinks: [new MemorySink()] } });
    const request = { reason: 'Unconscious', expiresIn: 60_000 };
    const made = app.medplum.onBehalfOf('m1', () => app.medplum.breakGlass(request, () => app.medplum.delegate(FOR)));
    await expect(made).rejects.toThrow('emergency access is never delegated');
  });

  it.each(['refuse', 'warn', 'allow'] as const)('under a scope that has ended (lateCalls: %s)', async (lateCalls) => {
    await start({ lateCalls });
    const { later, settle } = held();
    let late = Promise.resolve('');
    app.medplum.onBehalfOf('m1', () => {
      late = later.then(() => app.medplum.delegate(FOR));
      return undefined;
    });
    settle();
    await expect(late).rejects.toThrow(OnBehalfOfRequiredError);
  });

  it.each<readonly [object]>([
    [{ ...FOR, expiresIn: 0 }],
    [{ ...FOR, expiresIn: 86_400_001 }],
    [{ ...FOR, expiresIn: Number.NaN }],
    [{ ...FOR, expiresIn: '60000' }],
    [{ audience: 'reports' }],
    [{ ...FOR, audience: '' }],
    [{ ...FOR, audience: ['reports'] }],
    [{ ...FOR, audience: 'x'.repeat(257) }],
    [{ ...FOR, jobId: '' }],
    [{ ...FOR, jobId: 'a\nb' }],
    [{ ...FOR, jobid: 'misspelt' }],
  ])('with the wrong options %j', async (options) => {
    await start();
    const work = app.medplum.onBehalfOf('m1', () => app.medplum.delegate(options as typeof FOR));
    expect(await refusalOf(work)).toBe('arguments');
  });

  it('without the option delegation, nor with keys that only verify', async () => {
    await start({ delegation: undefined });
    await expect(tokenFor('m1')).rejects.toThrow(MedplumConfigError);
    await expect(app.medplum.runDelegated('x', read)).rejects.toThrow(MedplumConfigError);
  });
});

describe('the identity that is delegated', () => {
  it('is also that of defaultOnBehalfOf and of actingAs(), as for any call made there', async () => {
    await start({ defaultOnBehalfOf: 'Practitioner/default' });
    expect(partsOf(await app.medplum.delegate(FOR)).claims['sub']).toBe('Practitioner/default');
    expect(partsOf(await app.medplum.actingAs('m7').delegate(FOR)).claims['sub']).toBe('ProjectMembership/m7');
  });

  it('can be handed on, but never for longer', async () => {
    await start();
    const now = Date.now();
    const clock = at(now);
    const token = await tokenFor('m1', { expiresIn: 10_000 });
    const exp = partsOf(token).claims['exp'];
    await app.medplum.runDelegated(token, async () => {
      const further = await app.medplum.delegate({ audience: 'next', expiresIn: 86_400_000 });
      expect(partsOf(further).claims).toMatchObject({ sub: 'ProjectMembership/m1', aud: 'next', exp });
      clock.mockReturnValue(now + 11_000);
      expect(await refusalOf(app.medplum.delegate({ audience: 'next', expiresIn: 1_000 }))).toBe('expired');
    });
  });

  it('is parsed on use by the rule of the client that uses it', async () => {
    const shared = { delegation: delegation({ realm: 'clinic' }) };
    const other = await startMedplumApp(shared);
    try {
      await start({ ...shared, clientId: 'client-2' });
      const token = await other.medplum.onBehalfOf('ClientApplication/client-2', () => other.medplum.delegate(FOR));
      await expect(app.medplum.runDelegated(token, read)).rejects.toThrow(OnBehalfOfReferenceError);
      expect(app.wire.requests).toEqual([]);
    } finally {
      await other.close();
    }
  });
});

/** What becomes of a token that another service of the same project uses. */
const use = async (
  minted: object,
  options: Partial<MedplumDelegationOptions>,
  run: Parameters<MedplumApp['medplum']['runDelegated']>[2] = {},
) => {
  const other = await startMedplumApp({ delegation: delegation(options), baseUrl: app.wire.baseUrl });
  try {
    const fn = jest.fn();
    const refusal = await refusalOf(other.medplum.runDelegated(await tokenFor('m1', minted), fn, run));
    const calls = fn.mock.calls.length;
    const event = other.events.at(-1);
    return { refusal, calls, event };
  } finally {
    await other.close();
  }
};

describe('a token is refused', () => {
  beforeEach(() => start());

  it.each<readonly [string, object, Partial<MedplumDelegationOptions>, object, unknown]>([
    ['audience', { audience: 'billing' }, {}, {}, 'ProjectMembership/m1'],
    ['audience', {}, {}, { audience: 'billing' }, 'ProjectMembership/m1'],
    ['job', {}, {}, { jobId: 'j1' }, 'ProjectMembership/m1'],
    ['job', { jobId: 'j1' }, {}, { jobId: 'j2' }, 'ProjectMembership/m1'],
    ['job', { jobId: 'j1' }, {}, {}, 'ProjectMembership/m1'],
    // Nobody of another deployment or project is named: the ids mean nothing here.
    ['issuer', {}, { issuer: 'another' }, {}, undefined],
    ['realm', {}, { realm: 'another' }, {}, undefined],
    ['unknown-key', {}, { keys: [{ ...KEY, kid: 'k2' }] }, {}, undefined],
    ['signature', {}, { keys: [{ kid: 'k1', secret: 'x'.repeat(32) }] }, {}, undefined],
  ])('for its %s', async (reason, minted, options, run, named) => {
    const { refusal, calls, event } = await use(minted, options, run);
    expect([refusal, calls]).toEqual([reason, 0]);
    expect(event).toMatchObject({
      action: 'delegation',
      outcome: 'refused',
      error: { code: 'MEDPLUM_DELEGATION', reason },
    });
    expect(event?.onBehalfOf).toBe(named);
  });

  it('in a client of another project or server', async () => {
    for (const options of [{ clientId: 'client-2' }, { baseUrl: `${app.wire.baseUrl}projects/2/` }]) {
      const other = await startMedplumApp({ delegation: delegation(), baseUrl: app.wire.baseUrl, ...options });
      expect(await refusalOf(other.medplum.runDelegated(await tokenFor('m1'), read))).toBe('realm');
      await other.close();
    }
  });

  it('without an audience on the side that uses it', async () => {
    const other = await startMedplumApp({ delegation: delegation({ audience: undefined }), baseUrl: app.wire.baseUrl });
    const token = await tokenFor('m1');
    await expect(other.medplum.runDelegated(token, read)).rejects.toThrow(MedplumConfigError);
    await other.medplum.runDelegated(token, () => undefined, { audience: 'reports' });
    await other.close();
  });

  it.each<readonly [number, string]>([
    [60 + 29, 'accepted'],
    [60 + 30, 'expired'],
    [86_400, 'expired'],
    [-30, 'accepted'],
    [-31, 'not-yet-valid'],
  ])('by a clock that is %i s after it was made: %s', async (shift, expected) => {
    const now = 1_700_000_000_000;
    const clock = at(now);
    const token = await tokenFor('m1');
    clock.mockReturnValue(now + shift * 1_000);
    const result = await app.medplum
      .runDelegated(token, () => 'accepted')
      .catch((error: DelegationError) => error.reason);
    expect(result).toBe(expected);
  });

  it('when its membership is not active any more, with or without membershipCheck', async () => {
    for (const membershipCheck of [false, true]) {
      await app.close();
      let active = true;
      await start({ membershipCheck }, (request) => {
        const asked = resourceAsked(request);
        return {
          body: request.path.includes('ProjectMembership')
            ? {
                ...asked,
                active,
                profile: { reference: 'Practitioner/p1' },
                accessPolicy: { reference: 'AccessPolicy/1' },
              }
            : asked,
        };
      });
      await app.medplum.runDelegated(await tokenFor('m1'), read);
      active = false;
      const fn = jest.fn();
      const error = await failureOf(app.medplum.runDelegated(await tokenFor('m1'), fn));
      expect(error).toBeInstanceOf(OnBehalfOfRejectedError);
      expect(fn).not.toHaveBeenCalled();
      expect(app.events.at(-1)).toMatchObject({
        action: 'delegation',
        outcome: 'refused',
        onBehalfOf: 'ProjectMembership/m1',
      });
    }
  });

  it('when the server cannot say whether its membership is active', async () => {
    app.wire.handler = () => ({ status: 503 });
    const error = await failureOf(app.medplum.runDelegated(await tokenFor('m1'), read));
    expect(error.code).toBe('MEDPLUM_SERVER');
    expect(identities()).toEqual([]);
  });

  it('and a profile with several active memberships', async () => {
    const entry = ['a', 'b'].map((id) => ({
      resource: { resourceType: 'ProjectMembership', id, profile: { reference: 'Practitioner/p1' } },
    }));
    app.wire.handler = () => ({ body: { resourceType: 'Bundle', type: 'searchset', entry } });
    const error = await failureOf(app.medplum.runDelegated(await tokenFor('Practitioner/p1'), read));
    expect(error.message).toContain('several active memberships');
  });

  it('and becomes a security alert as a FHIR AuditEvent', async () => {
    await refusalOf(app.medplum.runDelegated(await tokenFor('m1', { audience: 'billing' }), read));
    const [event] = app.events.slice(-1).map((one) => toFhirAuditEvent(one));
    expect(event).toMatchObject({
      type: { code: '110113' },
      outcome: '8',
      outcomeDesc: 'MEDPLUM_DELEGATION: nothing was sent, effect none',
    });
  });

  it('and its caller waits for the record where sinks must accept it', async () => {
    await app.close();
    const written: unknown[] = [];
    const sink = { name: 'Sink', write: (events: readonly unknown[]) => Promise.resolve(void written.push(...events)) };
    await start({ audit: { mode: 'require', sinks: [sink], flushTimeout: 1, writeTimeout: 50 } });
    expect(await refusalOf(app.medplum.runDelegated('forged', read))).toBe('malformed');
    expect(written).toMatchObject([{ action: 'delegation', outcome: 'refused' }]);
    sink.write = () => Promise.reject(new Error('full'));
    const error = await failureOf(app.medplum.runDelegated('forged', read));
    expect(error.code).toBe('MEDPLUM_AUDIT_SINK');
  });
});
