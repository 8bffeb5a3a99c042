import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import {
  MedplumBadRequestError,
  MedplumContentTooLargeError,
  MedplumProtocolError,
  type MedplumService,
} from 'nestjs-medplum';
import { exceptionAnswer } from '../../lib/exceptions/exception-answer';
import { closeAll } from '../support/close-all';
import { failureOf } from '../support/failure-of';
import { withHeldTimers } from '../support/held-timers';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type Member, type MedplumServer, startMedplumServer } from '../support/medplum-server';
import { troubleIn } from '../support/trouble';
import { WireServer } from '../support/wire-server';

const TEXT = { contentType: 'text/plain' };

describe('On a Medplum server', () => {
  let server: MedplumServer;
  let medplum: MedplumService;
  let ann: Member;
  let bob: Member;

  beforeAll(async () => {
    server = await startMedplumServer();
    ann = await server.createMember('Ann', [{ resourceType: 'Binary' }, { resourceType: 'DocumentReference' }]);
    bob = await server.createMember('Bob', [{ resourceType: 'Binary' }]);
    medplum = server.medplum.actingAs(ann.membership);
  });
  afterAll(() => server?.close());

  it('text, bytes and streams come back unchanged', async () => {
    const bytes = Buffer.from([0, 1, 2, 250, 251, 252]);
    for (const content of ['text', bytes, Readable.from([bytes, bytes])]) {
      const { id } = await medplum.binaries.upload(content, { contentType: 'application/octet-stream' });
      const { stream, contentType } = await medplum.binaries.download(id);
      expect(contentType).toBe('application/octet-stream');
      const expected = content instanceof Readable ? Buffer.concat([bytes, bytes]) : Buffer.from(content);
      expect(await buffer(stream)).toEqual(expected);
    }
  });

  it('a document and its content are created for one identity, and only those who may read the document get its attachment', async () => {
    const document = await medplum.binaries.createDocumentReference(
      { resourceType: 'DocumentReference', status: 'current', title: 'Letter' },
      'Dear colleague',
      TEXT,
    );
    expect(document).toMatchObject({
      meta: { onBehalfOf: { reference: ann.profile } },
      content: [{ attachment: { contentType: 'text/plain', title: 'Letter' } }],
    });
    const before = server.events.length;
    const { stream } = await medplum.binaries.downloadAttachment(document, 'content[0].attachment');
    expect(await text(stream)).toBe('Dear colleague');
    const events = server.events.slice(before);
    expect(events.map(({ resourceType, outcome }) => `${resourceType} ${outcome}`)[0]).toBe(
      'DocumentReference success',
    );
    expect(events).toHaveLength(2);
    const forBob = server.medplum.binaries.downloadAttachment(document, 'content[0].attachment', {
      onBehalfOf: bob.membership,
    });
    await expect(forBob).rejects.toMatchObject({ code: 'MEDPLUM_FORBIDDEN' });
  });

  it('a signed address is fetched without credentials, and no event shows it', async () => {
    const document = await medplum.binaries.createDocumentReference(
      { resourceType: 'DocumentReference', status: 'current' },
      'Dear colleague',
      TEXT,
    );
    const { stream } = await medplum.binaries.downloadAttachment(
      `DocumentReference/${document.id}`,
      'content[0].attachment',
    );
    expect(await text(stream)).toBe('Dear colleague');
    const event = server.events.at(-1);
    expect(event).toMatchObject({ pathTemplate: '/{signed}', onBehalfOf: ann.membership });
    expect(event?.attempts.map(({ onBehalfOf }) => onBehalfOf)).toEqual([null]);
    expect(JSON.stringify(event?.toPhiAudit({ includeQuery: true }))).not.toMatch(/Signature|storage/);
    const request = server.emulator?.requests.at(-1);
    expect(request ?? { auth: 'none' }).toMatchObject({ auth: 'none' });
    expect(request?.onBehalfOf).toBeUndefined();
  });
});

describe('Uploads and downloads', () => {
  let app: MedplumApp;
  let storage: WireServer;
  let medplum: MedplumService;

  beforeEach(async () => {
    storage = await WireServer.start();
    app = await startMedplumApp({ storageOrigins: [new URL(storage.baseUrl).origin], pool: { connections: 1 } });
    medplum = app.medplum.actingAs('m-1');
  });
  afterEach(() => closeAll(app, storage));

  /** Makes the server send endless content. The returned function resolves once the client has hung up. */
  const endless = () => {
    let hungUp: Promise<unknown> = Promise.resolve();
    app.wire.handler = (_request, response) => {
      hungUp = once(response, 'close');
      response.writeHead(200, { 'content-type': 'application/pdf' });
      const more = (): void =>
        void (response.destroyed || response.write(Buffer.alloc(16_384), () => setImmediate(more)));
      more();
      return undefined;
    };
    return () => hungUp;
  };

  it('a download stops as soon as it exceeds maxBytes, and releases its connection', async () => {
    const hungUp = endless();
    const { stream } = await medplum.binaries.download('b1', { maxBytes: 100_000 });
    await expect(buffer(stream)).rejects.toThrow(MedplumContentTooLargeError);
    await hungUp();
    expect(app.events).toMatchObject([{ outcome: 'error', status: 200, error: { code: 'MEDPLUM_CONTENT_TOO_LARGE' } }]);
    // The pool has a single connection, so the next call shows that it is free again.
    app.wire.handler = () => ({ body: { resourceType: 'Patient', id: '1' } });
    expect(await medplum.readResource('Patient', '1')).toMatchObject({ id: '1' });
  });

  it('a download whose declared length exceeds maxBytes is not read at all', async () => {
    const headers = { 'content-type': 'text/plain', 'content-length': '101' };
    app.wire.handler = () => ({ headers, body: 'x'.repeat(101) });
    await expect(medplum.binaries.download('b1', { maxBytes: 100 })).rejects.toThrow(MedplumContentTooLargeError);
    const { stream, size } = await medplum.binaries.download('b1', { maxBytes: 101 });
    expect(size).toBe(101);
    expect(await text(stream)).toHaveLength(101);
  });

  it('a reader that stops early releases the connection, and the event says so', async () => {
    const hungUp = endless();
    const { stream } = await medplum.binaries.download('b1');
    for await (const chunk of stream) {
      expect(chunk).toBeInstanceOf(Uint8Array);
      break;
    }
    await hungUp();
    expect(app.events).toMatchObject([{ outcome: 'error', error: { code: 'MEDPLUM_ABORT' } }]);
  });

  it('the timeout and the signal apply until the content has been read', async () => {
    const hungUp = endless();
    await withHeldTimers(async (pass) => {
      const { stream } = await medplum.binaries.download('b1', { timeout: 50 });
      const failure = failureOf(buffer(stream));
      pass(50);
      expect(await failure).toMatchObject({ code: 'MEDPLUM_TIMEOUT' });
      await hungUp();
    });
    const controller = new AbortController();
    const aborted = await medplum.binaries.download('b1', { signal: controller.signal });
    controller.abort();
    await expect(buffer(aborted.stream)).rejects.toMatchObject({ code: 'MEDPLUM_ABORT' });
  });

  it('a stream that nobody reads ends at the timeout of the call, without an unhandled error', async () => {
    const hungUp = endless();
    const trouble = await troubleIn(() =>
      withHeldTimers(async (pass) => {
        await medplum.binaries.download('b1', { timeout: 500 });
        pass(500);
        await hungUp();
      }),
    );
    expect(trouble).toEqual([]);
    expect(app.events).toMatchObject([{ error: { code: 'MEDPLUM_TIMEOUT' } }]);
  });

  it('content that is cut off is an error, not a shorter file', async () => {
    app.wire.handler = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 100 });
      response.write('half', () => response.destroy());
      return undefined;
    };
    const { stream } = await medplum.binaries.download('b1');
    await expect(text(stream)).rejects.toThrow(MedplumProtocolError);
  });

  it('a listener of the stream runs in the scope of its own call, whichever call opened the connection', async () => {
    app.wire.handler = () => ({ headers: { 'content-type': 'text/plain' }, body: 'content' });
    await app.medplum.onBehalfOf('m-1', () => app.medplum.readResource('Patient', '1').catch(() => undefined));
    const seen = await app.medplum.onBehalfOf('m-2', async () => {
      const { stream } = await app.medplum.binaries.download('b1');
      return new Promise((resolve) => stream.once('data', () => resolve(app.medplum.currentOnBehalfOf)));
    });
    expect(seen).toBe('ProjectMembership/m-2');
  });

  it('also a listener of content that arrives while the stream is being read', async () => {
    let send: ((chunk: string | undefined) => void) | undefined;
    app.wire.handler = (request, response) => {
      if (request.path.includes('Patient')) {
        return { body: { resourceType: 'Patient', id: '1' } };
      }
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.flushHeaders();
      send = (chunk) => void (chunk === undefined ? response.end() : response.write(chunk));
      return undefined;
    };
    await app.medplum.onBehalfOf('m-1', () => app.medplum.readResource('Patient', '1'));
    const seen: [string, string | undefined][] = [];
    const see = (what: unknown) => seen.push([String(what), app.medplum.currentOnBehalfOf]);
    await app.medplum.onBehalfOf('m-2', async () => {
      const { stream } = await app.medplum.binaries.download('b1');
      const read = new Promise((resolve) => stream.once('close', resolve));
      stream.on('data', (chunk) => {
        see(chunk);
        send?.(String(chunk) === 'first' ? 'second' : undefined);
      });
      stream.on('end', () => see('end'));
      send?.('first');
      await read;
    });
    expect(seen).toEqual(['first', 'second', 'end'].map((what) => [what, 'ProjectMembership/m-2']));
    expect(app.wire.openConnections).toBe(1);
  });

  it('a document that cannot be created after its content has an effect: the content is there', async () => {
    app.wire.handler = ({ path }) =>
      path.includes('Binary')
        ? { status: 201, body: { resourceType: 'Binary', id: 'b1', url: 'Binary/b1' } }
        : { status: 400, body: { resourceType: 'OperationOutcome', issue: [] } };
    const resource = { resourceType: 'DocumentReference', status: 'current' } as const;
    await expect(medplum.binaries.createDocumentReference(resource, 'Hi', TEXT)).rejects.toMatchObject({
      status: 400,
      effect: 'happened',
      retryable: false,
    });
  });

  it('an upload that exceeds maxBytes is aborted', async () => {
    const content = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(10_000)));
    await expect(medplum.binaries.upload(content, { ...TEXT, maxBytes: 50_000 })).rejects.toThrow(
      MedplumContentTooLargeError,
    );
    await expect(medplum.binaries.upload('abc', { ...TEXT, maxBytes: 2 })).rejects.toThrow(MedplumContentTooLargeError);
    expect(app.wire.requests).toEqual([]);
  });

  it('an upload that is too large is 413 for the client of the app, and a download that is too large is 502', async () => {
    for (const content of ['abc', Readable.from([Buffer.alloc(10), Buffer.alloc(10)])]) {
      const error = await failureOf(medplum.binaries.upload(content, { ...TEXT, maxBytes: 2 }));
      expect(error).toBeInstanceOf(MedplumContentTooLargeError);
      expect(exceptionAnswer(error)).toMatchObject({ status: 413 });
    }
    app.wire.handler = () => ({ headers: { 'content-type': 'text/plain' }, body: 'abc' });
    const error = await failureOf(medplum.binaries.download('b1', { maxBytes: 2 }).then(({ stream }) => text(stream)));
    expect(exceptionAnswer(error)).toMatchObject({ status: 502 });
  });

  const withAttachment = (attachment: object) => {
    app.wire.handler = () => ({ body: { resourceType: 'Patient', id: 'p1', photo: [attachment] } });
  };
  const photo = () => medplum.binaries.downloadAttachment('Patient/p1', 'photo[0]');

  it('a signed address of a configured storage gets no header of the client', async () => {
    withAttachment({ url: `${storage.baseUrl}x/1?Signature=secret`, contentType: 'image/png' });
    storage.handler = () => ({ headers: { 'content-type': 'image/png' }, body: 'image' });
    const { stream, contentType } = await photo();
    expect([await text(stream), contentType]).toEqual(['image', 'image/png']);
    const [request] = storage.requests;
    expect(request?.path).toBe('/x/1?Signature=secret');
    expect(request?.headers).not.toHaveProperty('authorization');
    expect(request?.headers).not.toHaveProperty('x-medplum-on-behalf-of');
    expect(request?.headers).not.toHaveProperty('x-medplum');
  });

  it('a signed address of the server itself is fetched from baseUrl, as publicUrl, with its signature unchanged', async () => {
    const publicUrl = 'https://fhir.example.com:444/medplum/';
    const storageOrigins = ['https://fhir.example.com:444'];
    for (const more of [{}, { storageOrigins }]) {
      const behind = await startMedplumApp({ publicUrl, ...more }, { basePath: 'inside/' });
      try {
        const url = `${publicUrl}storage/b1/v1?Expires=1&Key-Pair-Id=k&Signature=a%2Bb%2Fc%3D`;
        behind.wire.handler = ({ path }) =>
          path.includes('/storage/')
            ? { headers: { 'content-type': 'image/png' }, body: 'image' }
            : { body: { resourceType: 'Patient', id: 'p1', photo: [{ url }] } };
        const user = behind.medplum.actingAs('m-1');
        expect(await text((await user.binaries.downloadAttachment('Patient/p1', 'photo[0]')).stream)).toBe('image');
        expect(await text((await user.bulk.download(url)).stream)).toBe('image');
        const [, attachment, file] = behind.wire.requests;
        for (const request of [attachment, file]) {
          expect(request?.path).toBe('/inside/storage/b1/v1?Expires=1&Key-Pair-Id=k&Signature=a%2Bb%2Fc%3D');
          // The server checks the signature against the address that the request names.
          expect(request?.headers).toMatchObject({ host: 'fhir.example.com:444', 'x-forwarded-proto': 'https' });
          expect(request?.headers).not.toHaveProperty('authorization');
          expect(request?.headers).not.toHaveProperty('x-medplum-on-behalf-of');
        }
        // Beside publicUrl it is another server.
        const beside = 'https://fhir.example.com:445/medplum/storage/b1';
        await expect(user.bulk.download(beside)).rejects.toThrow(MedplumProtocolError);
      } finally {
        await behind.close();
      }
    }
  });

  it('signed addresses share the connections to their storage, which end with the app', async () => {
    withAttachment({ url: `${storage.baseUrl}x/1?Signature=secret` });
    const closed: Promise<unknown>[] = [];
    storage.handler = (_request, response) => {
      if (response.socket && closed.length === 0) {
        closed.push(once(response.socket, 'close'));
      }
      return { headers: { 'content-type': 'image/png' }, body: 'image' };
    };
    for (let download = 0; download < 2; download++) {
      expect(await text((await photo()).stream)).toBe('image');
    }
    expect(storage.openConnections).toBe(1);
    expect(storage.requests[0]?.headers.accept).toBe('*/*');
    await app.module.close();
    await Promise.all(closed);
  });

  it('the content of an attachment may be in the resource itself', async () => {
    withAttachment({ data: Buffer.from('image').toString('base64') });
    expect(await text((await photo()).stream)).toBe('image');
  });

  it.each([
    'https://evil.example/Binary/1',
    '//evil.example/Binary/1',
    'http://127.0.0.1:1/x',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'relative/path',
    '',
    5,
  ])('an attachment with the address %j is refused', async (url) => {
    withAttachment({ url });
    await expect(photo()).rejects.toThrow(MedplumProtocolError);
    expect(app.wire.requests).toHaveLength(1);
    expect(storage.requests).toEqual([]);
  });

  it.each(['', 'photo[', 'photo[-1]', '__proto__', 'a/b', '..', 'photo[0].', 'a'.repeat(65), undefined])(
    'the attachment path %j is refused, and nothing is sent',
    async (path) => {
      await expect(medplum.binaries.downloadAttachment('Patient/p1', path as string)).rejects.toThrow(
        MedplumBadRequestError,
      );
      expect(app.wire.requests).toEqual([]);
    },
  );

  it.each(['photo[1]', 'name', 'constructor', 'photo'])(
    'an error says that there is no attachment at %s',
    async (path) => {
      withAttachment({ url: 'Binary/b1' });
      await expect(medplum.binaries.downloadAttachment('Patient/p1', path)).rejects.toThrow(/no attachment/);
    },
  );
});
