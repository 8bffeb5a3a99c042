import { deepStrictEqual } from 'node:assert';
import { createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { MedplumService } from 'nestjs-medplum';
import type { Patient } from 'nestjs-medplum/fhirtypes';
import { type SignedWebhook, signedWebhook } from 'nestjs-medplum/testing';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { PLATFORMS } from '../support/platforms';
import { seededRandom } from '../support/seeded-random';
import { SECRETS, startWebhookApp, type WebhookApp } from './webhook-app';

const secret = SECRETS.patients;

const sign = (body: string | Buffer, key: string = secret) => createHmac('sha256', key).update(body).digest('hex');

/** A delivery with this body, signed as Medplum does it. */
const signed = (body: string, headers: Record<string, string> = {}): SignedWebhook => ({
  method: 'POST',
  headers: {
    'content-type': 'application/fhir+json',
    'x-medplum-interaction': 'update',
    'x-signature': sign(body),
    ...headers,
  },
  body,
});

describe.each(PLATFORMS)('Attacks on a webhook on %s', (platform) => {
  let hooks: WebhookApp;
  let log: CapturedLog;
  let patient: Patient & { id: string };
  let delivery: SignedWebhook;

  beforeAll(async () => {
    log = captureLog();
    hooks = await startWebhookApp(platform);
    patient = await hooks.emulator.createResource({ resourceType: 'Patient', name: [{ text: 'Lisa "Liz" Ü' }] });
    delivery = signedWebhook({ secret, resource: patient });
    hooks.emulator.clearRequests();
  });

  afterAll(async () => {
    log.restore();
    await hooks?.close();
  });

  /** Nothing was read, and no handler ran. */
  afterEach(() => deepStrictEqual([hooks.handlers.handled, hooks.emulator.requests], [[], []]));

  const withSignature = (signature: string): SignedWebhook => ({
    ...delivery,
    headers: { ...delivery.headers, 'x-signature': signature },
  });

  /** Sends headers as they are, also twice. */
  const raw = (headers: readonly string[], body: string | Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(hooks.url);
      request({
        hostname,
        port,
        method: 'POST',
        path: '/hooks/patients',
        headers: ['host', hostname, ...headers] as never,
      })
        .on('response', (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        })
        .on('error', reject)
        .end(body);
    });

  it('gives no hint why it refuses', async () => {
    const { 'x-signature': _, ...unsigned } = delivery.headers;
    const texts = await Promise.all(
      [
        { ...delivery, headers: unsigned },
        withSignature('0'.repeat(64)),
        withSignature('x'),
        { ...delivery, body: '{}' },
      ].map(async (init) => {
        const response = await fetch(`${hooks.url}/hooks/patients`, init);
        return `${response.status} ${await response.text()}`;
      }),
    );
    expect(new Set(texts)).toEqual(new Set(['401 {"message":"Unauthorized","statusCode":401}']));
  });

  it.each<[string, () => string]>([
    ['empty', () => ''],
    ['of zeros', () => '0'.repeat(64)],
    ['cut off', () => sign(delivery.body).slice(0, 63)],
    ['too long', () => `${sign(delivery.body)}0`],
    ['in upper case', () => sign(delivery.body).toUpperCase()],
    ['in base64', () => createHmac('sha256', secret).update(delivery.body).digest('base64')],
    ['with a prefix', () => `sha256=${sign(delivery.body)}`],
    ['twice in one header', () => `${sign(delivery.body)}, ${sign(delivery.body)}`],
    ['of SHA-1', () => createHmac('sha1', secret).update(delivery.body).digest('hex')],
    [
      'of SHA-512, cut to the length',
      () => createHmac('sha512', secret).update(delivery.body).digest('hex').slice(0, 64),
    ],
    ['of an empty secret', () => sign(delivery.body, '')],
    ['of the beginning of the secret', () => sign(delivery.body, secret.slice(0, -1))],
    ['of a longer secret', () => sign(delivery.body, `${secret}0`)],
    ['of another route', () => sign(delivery.body, SECRETS.others)],
    ['of another body', () => sign('{}')],
    [
      'of the body as it would be parsed and written again',
      () => sign(JSON.stringify(JSON.parse(delivery.body), null, 1)),
    ],
  ])('refuses a signature that is %s', async (_what, signature) => {
    expect(await hooks.post('patients', withSignature(signature()))).toBe(401);
  });

  it('refuses two headers, even if both are right', async () => {
    const type = ['content-type', 'application/fhir+json', 'content-length', String(Buffer.byteLength(delivery.body))];
    const right = ['x-signature', sign(delivery.body)];
    expect(await raw([...type, ...right, ...right], delivery.body)).toBe(401);
    expect(await raw([...type, ...right, 'X-Signature', '0'.repeat(64)], delivery.body)).toBe(401);
  });

  it('refuses a body that means the same in other bytes', async () => {
    for (const body of [
      `${delivery.body} `,
      ` ${delivery.body}`,
      `\uFEFF${delivery.body}`,
      JSON.stringify(JSON.parse(delivery.body), null, 1),
    ]) {
      expect(await hooks.post('patients', { ...delivery, body })).toBe(401);
    }
  });

  it('refuses any change of the body or the signature', async () => {
    const random = seededRandom();
    const upTo = (count: number) => Math.floor(random() * count);
    const bytes = Buffer.from(delivery.body);
    for (let i = 0; i < 100; i++) {
      const changed = Buffer.from(bytes);
      const at = upTo(changed.length);
      changed[at] = (changed[at] as number) ^ (1 + upTo(255));
      const cut = bytes.subarray(0, upTo(bytes.length));
      const signature = sign(delivery.body).split('');
      const digit = upTo(64);
      signature[digit] = ((Number.parseInt(signature[digit] as string, 16) + 1 + upTo(15)) % 16).toString(16);
      const statuses = [
        await hooks.post('patients', { ...delivery, body: changed }),
        await hooks.post('patients', { ...delivery, body: cut }),
        await hooks.post('patients', withSignature(signature.join(''))),
      ];
      // 400: the platform refuses JSON that it cannot parse before any guard runs.
      expect(statuses.filter((status) => status !== 401 && status !== 400)).toEqual([]);
      expect(statuses[2]).toBe(401);
    }
  });

  it('refuses a delivery of another route, with its signature', async () => {
    expect(await hooks.post('others', delivery)).toBe(401);
    expect(await hooks.post('rotated', delivery)).toBe(401);
  });

  it('leaves the size of bodies to Nest', async () => {
    const huge = JSON.stringify({ ...patient, text: { status: 'generated', div: 'x'.repeat(2_000_000) } });
    expect(await hooks.post('patients', signed(huge))).toBe(413);
  });

  it('refuses a request without a body', async () => {
    const status = await raw(['content-length', '0', 'x-signature', sign('')], '');
    expect(status).toBe(401);
  });

  // Signed with the right secret, so only Medplum, or somebody with the secret, can send these.
  it.each<[string, unknown]>([
    ['another type', { resourceType: 'Observation', id: '1', meta: { versionId: '1' } }],
    ['no type', { id: '1', meta: { versionId: '1' } }],
    ['no id', { resourceType: 'Patient', meta: { versionId: '1' } }],
    ['no version', { resourceType: 'Patient', id: '1', meta: {} }],
    ['an id that leads elsewhere', { resourceType: 'Patient', id: '../ProjectMembership/1', meta: { versionId: '1' } }],
    ['dots as its id', { resourceType: 'Patient', id: '..', meta: { versionId: '1' } }],
    ['an encoded id', { resourceType: 'Patient', id: '..%2f..', meta: { versionId: '1' } }],
    ['an id with a query', { resourceType: 'Patient', id: '1?_format=xml', meta: { versionId: '1' } }],
    ['an id that is an object', { resourceType: 'Patient', id: { toString: 1 }, meta: { versionId: '1' } }],
    ['a type that leads elsewhere', { resourceType: 'Patient/../Login', id: '1', meta: { versionId: '1' } }],
    ['a list', [patientWith('1')]],
    ['a text', 'Patient/1'],
    ['a number', 1],
    ['null', null],
  ])('refuses %s', async (_what, content) => {
    expect(await hooks.post('patients', signed(JSON.stringify(content)))).toBe(400);
  });

  it('refuses a body that inherits what it says', async () => {
    const body = `{"__proto__":${JSON.stringify(patientWith('1'))},"constructor":{"prototype":${JSON.stringify(patientWith('2'))}}}`;
    expect(await hooks.post('patients', signed(body))).toBe(400);
    expect(({} as { resourceType?: unknown }).resourceType).toBeUndefined();
  });

  it.each<[string, Record<string, string>]>([
    ['without a reference', {}],
    ['of another type', { 'x-medplum-deleted-resource': 'Login/1' }],
    ['of several resources', { 'x-medplum-deleted-resource': 'Patient/1, Patient/2' }],
    ['of a path', { 'x-medplum-deleted-resource': 'Patient/../Login/1' }],
    ['of a version', { 'x-medplum-deleted-resource': 'Patient/1/_history/1' }],
    ['with another interaction', { 'x-medplum-deleted-resource': 'Patient/1', 'x-medplum-interaction': 'update' }],
  ])('refuses a delete %s', async (_what, headers) => {
    expect(await hooks.post('patients', signed('{}', { 'x-medplum-interaction': 'delete', ...headers }))).toBe(400);
  });

  it('does not take a resource for a delete, whatever the headers say', async () => {
    const headers = { 'x-medplum-interaction': 'delete', 'x-medplum-deleted-resource': `Patient/${patient.id}` };
    expect(await hooks.post('patients', signed(JSON.stringify(patient), headers))).toBe(204);
    expect(hooks.handlers.handled.splice(0)).toMatchObject([{ event: { interaction: 'update' } }]);
    hooks.emulator.clearRequests();
  });

  it('does not believe a delete that somebody replays for another resource', async () => {
    const gone = await hooks.emulator.createResource({ resourceType: 'Patient' });
    const medplum = hooks.app.get(MedplumService);
    await medplum.asClientApplication(() => medplum.deleteResource('Patient', gone.id));
    const seen = signedWebhook({ secret, deleted: `Patient/${gone.id}` });
    expect(await hooks.post('patients', seen)).toBe(204);
    expect(hooks.handlers.handled.splice(0)).toHaveLength(1);
    // The signature of an empty object is the same for every delete.
    const replay = (id: string) =>
      hooks.post('patients', { ...seen, headers: { ...seen.headers, 'x-medplum-deleted-resource': `Patient/${id}` } });
    expect(await replay(patient.id)).toBe(409);
    expect(await replay(randomUUID())).toBe(204);
    hooks.emulator.clearRequests();
    expect(await replay(gone.id)).toBe(204);
  });
});

function patientWith(id: string): object {
  return { resourceType: 'Patient', id, meta: { versionId: '1' } };
}
