import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Agent } from 'undici';
import { MedplumContentTooLargeError, type MedplumModuleOptions, MedplumProtocolError } from 'nestjs-medplum';
import { collect } from '../support/collect';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireHandler } from '../support/wire-server';

const PATIENT = { resourceType: 'Patient', id: '1', name: [{ family: 'Zoë' }], note: 'x'.repeat(2_000) };
const TEXT = JSON.stringify(PATIENT);

const agents: Agent[] = [];
let app: MedplumApp;

afterEach(async () => {
  await app.close();
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
});

/** The library's own pool, and a dispatcher of the app. The same tests hold for both. */
const WAYS: readonly [string, () => Partial<MedplumModuleOptions>][] = [
  ['the pool', () => ({})],
  [
    'a dispatcher',
    () => {
      const dispatcher = new Agent();
      agents.push(dispatcher);
      return { dispatcher };
    },
  ],
];

/** Responds with these bytes. */
const bytes =
  (body: Buffer | string, headers: Record<string, string>, status = 200): WireHandler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/fhir+json', ...headers });
    response.end(body);
    return undefined;
  };

const read = () => app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1' });
const create = () => app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' });

describe.each(WAYS)('A response through %s', (_name, options) => {
  it.each([
    ['gzip', gzipSync(TEXT)],
    ['GZip', gzipSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
    ['identity', Buffer.from(TEXT)],
  ])('is unpacked: %s', async (encoding, body) => {
    app = await startMedplumApp(options(), { handler: bytes(body, { 'content-encoding': encoding }) });
    await expect(read()).resolves.toEqual(PATIENT);
    expect(app.wire.requests[0]?.headers['accept-encoding']).toBeUndefined();
  });

  it('is requested compressed with the option compression, except for streamed content', async () => {
    const packed = bytes(gzipSync(TEXT), { 'content-encoding': 'gzip' });
    app = await startMedplumApp({ ...options(), compression: true }, { handler: packed });
    await expect(read()).resolves.toEqual(PATIENT);
    await expect(create()).resolves.toEqual(PATIENT);
    app.wire.handler = bytes('content', { 'content-type': 'text/plain' });
    const { stream } = await app.medplum.binaries.download('1', { onBehalfOf: 'm-1' });
    expect(Buffer.concat(await collect<Buffer>(stream)).toString()).toBe('content');
    await app.medplum.fetch('fhir/R4/Patient/1', { onBehalfOf: 'm-1' }).then((answer) => answer.text());
    expect(app.wire.requests.map(({ headers }) => headers['accept-encoding'])).toEqual([
      'gzip, br',
      'gzip, br',
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['not gzip', 'gzip', TEXT],
    ['cut off', 'gzip', gzipSync(TEXT).subarray(0, 40)],
    ['an unknown encoding', 'zstd-of-tomorrow', TEXT],
    ['an encoding that was not requested', 'deflate', deflateSync(TEXT)],
    ['another name of an encoding', 'x-gzip', gzipSync(TEXT)],
    ['a name from the prototype', 'constructor', TEXT],
  ])('that cannot be unpacked is an error with its status: %s', async (_what, encoding, body) => {
    app = await startMedplumApp(
      { ...options(), retry: { maxRetries: 0 } },
      { handler: bytes(body, { 'content-encoding': encoding }) },
    );
    await expect(read()).rejects.toBeInstanceOf(MedplumProtocolError);
    await expect(create()).rejects.toMatchObject({ status: 200, effect: 'happened', retryable: false });
  });

  it('may begin with a byte order mark', async () => {
    app = await startMedplumApp(options(), { handler: bytes(`\ufeff${TEXT}`, {}) });
    await expect(read()).resolves.toEqual(PATIENT);
  });

  it.each<readonly [string, WireHandler]>([
    ['declares', bytes(TEXT, { 'content-length': String(Buffer.byteLength(TEXT)) })],
    ['turns out to be', bytes(TEXT, {})],
    ['unpacks to be', bytes(gzipSync(TEXT), { 'content-encoding': 'gzip' })],
  ])(
    'is refused when it %s longer than maxResponseBytes, once, and the connection is released',
    async (_how, handler) => {
      app = await startMedplumApp({ ...options(), maxResponseBytes: 1_000, retry: { minTimeout: 1 } }, { handler });
      await expect(read()).rejects.toBeInstanceOf(MedplumContentTooLargeError);
      await expect(create()).rejects.toMatchObject({
        code: 'MEDPLUM_CONTENT_TOO_LARGE',
        status: 200,
        effect: 'happened',
        retryable: false,
      });
      expect(app.wire.requests).toHaveLength(2);
      expect(app.events.at(-1)?.attempts).toMatchObject([{ status: 200, error: 'CONTENT_TOO_LARGE' }]);
      app.wire.handler = () => ({ body: { resourceType: 'Patient', id: '1' } });
      await expect(read()).resolves.toMatchObject({ id: '1' });
    },
  );

  it('may follow an announcement (103)', async () => {
    app = await startMedplumApp(options(), {
      handler: async (_request, response) => {
        await new Promise<void>((resolve) => response.writeEarlyHints({ link: '</style.css>; rel=preload' }, resolve));
        return { body: PATIENT };
      },
    });
    await expect(read()).resolves.toEqual(PATIENT);
  });
});
