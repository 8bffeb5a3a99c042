import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { type DelegationKey, MedplumConfigError } from 'nestjs-medplum';
import { getConnectionToken } from '../../lib/medplum.tokens';
import { resolveDelegationKeys } from '../../lib/delegation/delegation-keys';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { delegation, KEY, partsOf, refusalOf } from '../support/delegations';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let log: CapturedLog;
let apps: MedplumApp[] = [];

beforeEach(() => (log = captureLog()));
afterEach(async () => {
  log.restore();
  await Promise.all(apps.map((app) => app.close()));
  apps = [];
});

const baseUrl = 'http://localhost:1/';

async function start(...keys: DelegationKey[]): Promise<MedplumApp> {
  const app = await startMedplumApp({ delegation: delegation({ keys, realm: 'clinic' }) });
  apps.push(app);
  return app;
}
const mint = ({ medplum }: MedplumApp) =>
  medplum.onBehalfOf('m1', () => medplum.delegate({ audience: 'reports', expiresIn: 60_000 }));
const accept = ({ medplum }: MedplumApp, token: string) => medplum.runDelegated(token, () => medplum.currentOnBehalfOf);

const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const pairs: Readonly<Record<string, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>> = {
  PS256: RSA,
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  EdDSA: generateKeyPairSync('ed25519'),
};

describe.each(Object.entries(pairs))('a pair of keys for %s', (alg, { privateKey, publicKey }) => {
  const forms: Readonly<Record<string, readonly [DelegationKey, DelegationKey]>> = {
    KeyObject: [
      { kid: 'a', privateKey },
      { kid: 'a', publicKey },
    ],
    PEM: [
      { kid: 'a', privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
      { kid: 'a', publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
    ],
    JWK: [
      { kid: 'a', privateKey: privateKey.export({ format: 'jwk' }) },
      { kid: 'a', publicKey: { ...publicKey.export({ format: 'jwk' }), alg, use: 'sig' } },
    ],
  };

  it.each(Object.keys(forms))('signs in one service and verifies in another, as %s', async (form) => {
    const [signs, verifies] = forms[form] ?? [];
    const [api, worker] = [await start(signs as DelegationKey), await start(verifies as DelegationKey)];
    const token = await mint(api);
    expect(partsOf(token).header['alg']).toBe(alg);
    expect(await accept(worker, token)).toBe('ProjectMembership/m1');
    await expect(mint(worker)).rejects.toThrow(MedplumConfigError);
  });
});

it('rotates: a new key signs as soon as all services know it, and the old one still verifies', async () => {
  const next = { kid: 'k2', secret: 'n'.repeat(32) };
  const old = await start(KEY);
  const prepared = await start(KEY, next);
  const rotated = await start(next, KEY);
  const done = await start(next);
  const [fromOld, fromRotated] = [await mint(old), await mint(rotated)];
  expect(partsOf(fromRotated).header['kid']).toBe('k2');
  expect(await accept(rotated, fromOld)).toBe('ProjectMembership/m1');
  expect(await accept(prepared, fromRotated)).toBe('ProjectMembership/m1');
  expect(await refusalOf(accept(done, fromOld))).toBe('unknown-key');
  expect(await refusalOf(accept(old, fromRotated))).toBe('unknown-key');
});

it('signs with the first key that can', async () => {
  const app = await start({ kid: 'public', publicKey: RSA.publicKey }, KEY, { kid: 'k2', secret: 'n'.repeat(32) });
  expect(partsOf(await mint(app)).header['kid']).toBe('k1');
});

const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
const bitcoin = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const pem = (key: KeyObject) =>
  key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }).toString();

describe('the options', () => {
  it.each<readonly [string, unknown, RegExp]>([
    ['no keys', [], /one key or more/],
    ['no list', { kid: 'a' }, /one key or more/],
    ['a key that is null', [null], /kid/],
    ['a kid with blanks', [{ ...KEY, kid: 'my key' }], /kid/],
    ['a kid that is too long', [{ ...KEY, kid: 'k'.repeat(65) }], /kid/],
    ['two keys of one kid', [KEY, { kid: 'k1', publicKey: RSA.publicKey }], /kid of an earlier key/],
    ['a key without a key', [{ kid: 'a' }], /exactly one/],
    ['two keys in one', [{ kid: 'a', secret: 'x'.repeat(32), publicKey: RSA.publicKey }], /exactly one/],
    ['an algorithm', [{ ...KEY, algorithm: 'none' }], /exactly one/],
    ['a secret of 31 bytes', [{ kid: 'a', secret: 'x'.repeat(31) }], /less than 32 bytes/],
    ['bytes that are too few', [{ kid: 'a', secret: Buffer.alloc(16) }], /less than 32 bytes/],
    ['a secret key that is too short', [{ kid: 'a', secret: createSecretKey(Buffer.alloc(8)) }], /less than 32 bytes/],
    ['a secret that is a number', [{ kid: 'a', secret: 42 }], /text or bytes/],
    ['a public key as the secret', [{ kid: 'a', secret: pem(RSA.publicKey) }], /PEM as its secret/],
    ['a public KeyObject as the secret', [{ kid: 'a', secret: RSA.publicKey }], /text or bytes/],
    ['a private key as the public one', [{ kid: 'a', publicKey: pem(RSA.privateKey) }], /private key as its publicKey/],
    [
      'a private JWK as the public one',
      [{ kid: 'a', publicKey: RSA.privateKey.export({ format: 'jwk' }) }],
      /private key as its publicKey/,
    ],
    [
      'a private KeyObject as the public one',
      [{ kid: 'a', publicKey: RSA.privateKey }],
      /publicKey that cannot be read/,
    ],
    ['a public key as the private one', [{ kid: 'a', privateKey: pem(RSA.publicKey) }], /cannot be read/],
    ['a symmetric JWK', [{ kid: 'a', privateKey: { kty: 'oct', k: 'x'.repeat(43) } }], /cannot be read/],
    ['RSA with 1,024 bits', [{ kid: 'a', publicKey: weak.publicKey }], /2048 bits/],
    ['the curve secp256k1', [{ kid: 'a', publicKey: bitcoin.publicKey }], /P-256/],
    ['X25519, which signs nothing', [{ kid: 'a', privateKey: generateKeyPairSync('x25519').privateKey }], /Ed25519/],
    [
      'a JWK for RS256',
      [{ kid: 'a', publicKey: { ...RSA.publicKey.export({ format: 'jwk' }), alg: 'RS256' } }],
      /PS256/,
    ],
    [
      'a JWK for encryption',
      [{ kid: 'a', publicKey: { ...RSA.publicKey.export({ format: 'jwk' }), use: 'enc' } }],
      /PS256/,
    ],
    ['no PEM at all', [{ kid: 'a', privateKey: 'key' }], /cannot be read/],
  ])('refuse %s at start-up, without a value', async (_what, keys, message) => {
    const starting = startMedplumApp({ baseUrl, delegation: { keys: keys as readonly DelegationKey[] } });
    await expect(starting).rejects.toThrow(message);
    await expect(starting).rejects.toThrow(MedplumConfigError);
    await expect(starting).rejects.not.toThrow(/BEGIN|xxxx/);
  });

  it.each<readonly [object, RegExp]>([
    [{}, /keys is missing/],
    [{ keys: [KEY], audience: '' }, /audience must be/],
    [{ keys: [KEY], issuer: 'a\nb' }, /issuer must be/],
    [{ keys: [KEY], audiense: 'reports' }, /Did you mean audience/],
  ])('refuse %p', async (options, message) => {
    await expect(startMedplumApp({ baseUrl, delegation: options as never })).rejects.toThrow(message);
  });

  it('show no key, however they are printed', async () => {
    const secret = 'planted-secret-of-delegations-0123456789';
    const app = await start({ kid: 'a', secret });
    await mint(app);
    const bytes = [...Buffer.from(secret)].map((byte) => byte.toString(16)).join(' ');
    const resolved = resolveDelegationKeys([{ kid: 'a', secret }]);
    const shown = inspect([app.module.get(getConnectionToken()), app.medplum, resolved], {
      depth: 12,
      showHidden: true,
    });
    expect(shown + JSON.stringify(resolved)).not.toMatch(new RegExp(`planted|${bytes.slice(0, 20)}`));
  });
});
