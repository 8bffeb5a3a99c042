import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { delegation, encoded, KEY, partsOf, refusalOf, signed } from '../support/delegations';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ED = generateKeyPairSync('ed25519');
const pem = RSA.publicKey.export({ type: 'spki', format: 'pem' });

let app: MedplumApp;
let log: CapturedLog;
const fn = jest.fn();

beforeAll(async () => {
  log = captureLog();
  const keys = [
    KEY,
    { kid: 'rsa', publicKey: RSA.publicKey },
    { kid: 'ec', privateKey: EC.privateKey },
    { kid: 'ed', privateKey: ED.privateKey },
  ];
  app = await startMedplumApp({ delegation: delegation({ keys }) });
});
// Whatever is tried here: nothing runs, and nothing is sent.
afterEach(() => {
  if (fn.mock.calls.length + app.wire.requests.length > 0) {
    throw new Error('A token was accepted.');
  }
});
afterAll(async () => {
  await app.close();
  log.restore();
});

const mint = (more: object = {}) =>
  app.medplum.onBehalfOf('m1', () => app.medplum.delegate({ audience: 'reports', expiresIn: 60_000, ...more }));
const refused = (token: unknown) => refusalOf(app.medplum.runDelegated(token as string, fn));

const HEADER = { alg: 'HS256', kid: 'k1', typ: 'medplum-delegation+jwt' };
/** Claims that are accepted, as a signed token of {@link HEADER} shows below. */
const claims = async (more: object = {}): Promise<Record<string, unknown>> => ({
  ...partsOf(await mint()).claims,
  jti: randomUUID(),
  ...more,
});

describe('a token', () => {
  it('is refused when any of its characters is another one', async () => {
    const token = await mint();
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: token.length - 1 }),
        fc.constantFrom(...Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é')),
        async (index, character) => {
          fc.pre(token[index] !== character);
          expect(await refused(token.slice(0, index) + character + token.slice(index + 1))).not.toBe('missing');
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is refused when it is cut, prolonged, doubled, or put together from two', async () => {
    const [token, other] = [await mint(), await mint()];
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: token.length - 1 }), fc.string({ minLength: 1 }), async (index, text) => {
        await refused(token.slice(0, index));
        await refused(token + text);
        await refused(text + token);
      }),
      { numRuns: 60 },
    );
    const [a, b] = [token.split('.'), other.split('.')];
    const mixed = [0b001, 0b010, 0b011, 0b100, 0b101, 0b110]
      .map((pick) => [0, 1, 2].map((part) => (pick & (1 << part) ? a : b)[part]).join('.'))
      // The headers of both are the same.
      .filter((one) => one !== token && one !== other);
    expect(mixed.length).toBeGreaterThan(0);
    for (const one of mixed) {
      expect(await refused(one)).toBe('signature');
    }
    expect(await refused(`${token}, ${other}`)).toBe('malformed');
  });

  it('is refused when a claim is changed under the old signature, whatever it is changed to', async () => {
    const token = await mint({ jobId: 'j1' });
    const { claims: original, signature } = partsOf(token);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(original), 'extra'),
        fc.oneof(fc.jsonValue(), fc.constant(undefined)),
        async (name, value) => {
          const changed = JSON.stringify({ ...original, [name]: value });
          fc.pre(changed !== JSON.stringify(original));
          expect(await refused(`${encoded(HEADER)}.${encoded(changed)}.${signature}`)).toBe('signature');
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is refused for its header, whatever else that says, even with a right signature', async () => {
    const good = await claims();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('alg', 'kid', 'typ', 'jwk', 'jku', 'x5u', 'x5c', 'x5t', 'crit', 'b64', 'cty', 'zip', 'enc'),
        fc.oneof(fc.jsonValue(), fc.constant(undefined)),
        async (name, value) => {
          const header = { ...HEADER, [name]: value };
          fc.pre(JSON.stringify(header) !== JSON.stringify(HEADER));
          expect(['malformed', 'unknown-key', 'algorithm']).toContain(await refused(signed(header, good)));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is refused for claims of any other form, even with a right signature', async () => {
    const good = await claims();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('iss', 'aud', 'sub', 'realm', 'iat', 'nbf', 'exp', 'jti', 'job'),
        fc.oneof(
          fc.constantFrom(null, true, '', ' ', [], {}, ['reports'], 1.5, -1, 1e300, '1', 'a\u0000b', 'x'.repeat(300)),
          fc.constant(undefined),
        ),
        async (name, value) => {
          fc.pre(name !== 'job' || value !== undefined);
          await refused(signed(HEADER, { ...good, [name]: value }));
        },
      ),
      { numRuns: 100 },
    );
    expect(await refused(signed(HEADER, { ...good, sub: 'm1' }))).toBe('malformed');
    expect(await refused(signed(HEADER, { ...good, scope: 'admin' }))).toBe('malformed');
    expect(await refused(signed(HEADER, [good]))).toBe('malformed');
    expect(await refused(signed(HEADER, 'null'))).toBe('malformed');
    expect(await refused(signed(HEADER, '{"iss":'))).toBe('malformed');
  });

  it.each<readonly [string, unknown]>([
    ['missing', undefined],
    ['missing', null],
    ['missing', ''],
    ['malformed', 42],
    ['malformed', {}],
    ['malformed', ['a.b.c']],
    ['malformed', 'a.b'],
    ['malformed', 'a.b.c.d.e'],
    ['malformed', `${'a'.repeat(8_192)}.b.c`],
  ])('is %s when it is no token (%#)', async (reason, token) => {
    expect(await refused(token)).toBe(reason);
  });
});

describe('an attacker', () => {
  it('without a key cannot go without a signature (alg: none)', async () => {
    const good = await claims();
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const head = encoded({ ...HEADER, alg });
      expect(await refused(`${head}.${encoded(good)}.`)).toBe('malformed');
      expect(await refused(`${head}.${encoded(good)}.AA`)).toBe('algorithm');
    }
  });

  it('who knows a public key cannot use it as the secret of HS256', async () => {
    const good = await claims();
    const secrets = [pem, pem.toString().trim(), RSA.publicKey.export({ type: 'spki', format: 'der' })];
    for (const secret of secrets) {
      expect(await refused(signed({ ...HEADER, kid: 'rsa' }, good, secret))).toBe('algorithm');
      expect(await refused(signed({ ...HEADER, kid: 'rsa', alg: 'PS256' }, good, secret))).toBe('signature');
    }
  });

  it('cannot choose another algorithm of the same key', async () => {
    const good = await claims();
    const text = `${encoded({ ...HEADER, kid: 'rsa', alg: 'RS256' })}.${encoded(good)}`;
    const signature = createSign('sha256').update(text).sign(RSA.privateKey).toString('base64url');
    expect(await refused(`${text}.${signature}`)).toBe('algorithm');
    for (const alg of ['HS384', 'HS512', 'RS256', 'ES256', 'EdDSA']) {
      expect(await refused(signed({ ...HEADER, alg }, good))).toBe('algorithm');
    }
  });

  it('cannot bring a key along', async () => {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = own.publicKey.export({ format: 'jwk' });
    const keys = { jwk, jku: `${app.wire.baseUrl}keys.json`, x5u: `${app.wire.baseUrl}cert.pem`, x5c: ['MII'] };
    for (const [name, value] of Object.entries(keys)) {
      const text = `${encoded({ alg: 'ES256', kid: 'ec', typ: HEADER.typ, [name]: value })}.${encoded(await claims())}`;
      const signature = createSign('sha256').update(text).sign({ key: own.privateKey, dsaEncoding: 'ieee-p1363' });
      expect(await refused(`${text}.${signature.toString('base64url')}`)).toBe('malformed');
    }
  });

  it('cannot sign with the wrong one of two keys', async () => {
    expect(await refused(signed({ ...HEADER, alg: 'ES256', kid: 'ec' }, await claims()))).toBe('signature');
    expect(await refused(signed({ ...HEADER, alg: 'EdDSA', kid: 'ed' }, await claims()))).toBe('signature');
    for (const kid of ['__proto__', 'constructor', '0', ['k1'], { toString: 'k1' }, null]) {
      expect(await refused(signed({ ...HEADER, kid }, await claims()))).toBe('unknown-key');
    }
  });

  it('cannot pass another JWT of the same key off as a delegation', async () => {
    const good = await claims();
    for (const typ of ['JWT', 'at+jwt', undefined, 'MEDPLUM-DELEGATION+JWT']) {
      expect(await refused(signed({ ...HEADER, typ }, good))).toBe('malformed');
    }
  });

  it('cannot use an empty signature of ECDSA (r = s = 0)', async () => {
    const text = `${encoded({ ...HEADER, alg: 'ES256', kid: 'ec' })}.${encoded(await claims())}`;
    expect(await refused(`${text}.${Buffer.alloc(64).toString('base64url')}`)).toBe('signature');
  });

  it('cannot make a token live for longer than 24 hours, even with the key', async () => {
    const { iat } = await claims();
    const iatOf = Number(iat);
    for (const times of [
      { exp: iatOf + 86_401 },
      { exp: Number.MAX_SAFE_INTEGER },
      { iat: iatOf - 86_400 },
      { exp: iatOf },
      { nbf: iatOf - 1 },
    ]) {
      expect(await refused(signed(HEADER, await claims(times)))).toBe('lifetime');
    }
  });

  it('cannot write one token in two ways', async () => {
    const token = signed(HEADER, await claims());
    // The last character of 32 bytes in base64url has two bits that mean nothing.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet[alphabet.indexOf(token.at(-1) ?? '') ^ 1] ?? '';
    expect(Buffer.from((token.slice(0, -1) + last).split('.')[2] ?? '', 'base64url')).toEqual(
      Buffer.from(token.split('.')[2] ?? '', 'base64url'),
    );
    expect(await refused(token.slice(0, -1) + last)).toBe('malformed');
  });
});

it('accepts what is right: the same claims and header, signed with the key', async () => {
  const other = await startMedplumApp({ delegation: delegation(), baseUrl: app.wire.baseUrl });
  const token = signed(HEADER, await claims());
  expect(await other.medplum.runDelegated(token, () => 'accepted')).toBe('accepted');
  app.wire.requests.length = 0;
  await other.close();
});
