import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Random } from './random';
import { CLIENT, NEVER, type ServerCounts } from './storm.types';

/** A name of the storm: its owner, and the number of the call. */
const NAME = /\b(u\d+|client|never)-c\d+\b/g;
const PAGES = 3;

const random = new Random(Number(process.argv[2]));
const counts = { requests: 0, faults: 0, mixUps: 0, forbidden: 0 };
const examples: string[] = [];

function note(example: string): void {
  if (examples.length < 5) {
    examples.push(example);
  }
}

/** Compares the owner of everything that a request names with its header. Returns the name. */
function inspect(request: IncomingMessage, body: string): string {
  const header = request.headers['x-medplum-on-behalf-of'];
  const names = [...`${request.url} ${body}`.matchAll(NAME)];
  for (const [name, owner] of names) {
    if (owner === NEVER.owner) {
      counts.forbidden++;
      note(`${name} should have been refused, and was sent for ${String(header)}`);
    } else if (header !== (owner === CLIENT.owner ? undefined : `ProjectMembership/${owner}`)) {
      counts.mixUps++;
      note(`${name} was sent for ${String(header ?? 'the client')}`);
    }
  }
  return names[0]?.[0] ?? 'unnamed';
}

/** The response to a request that does not fail. Everything in it says who the server took the caller for. */
function answer(request: IncomingMessage, name: string): object {
  const { method, url = '' } = request;
  const code = String(request.headers['x-medplum-on-behalf-of'] ?? 'client');
  const resource = { resourceType: 'Patient', id: name, meta: { versionId: '1', tag: [{ code }] } };
  if (url.includes('$graphql')) {
    return { data: { Patient: resource } };
  }
  if (method === 'DELETE') {
    return { resourceType: 'OperationOutcome', issue: [{ severity: 'information', code: 'informational' }] };
  }
  if (/\/R4\/?$/.test(url)) {
    const entry = [{ resource, response: { status: '200' } }];
    return { resourceType: 'Bundle', type: 'batch-response', entry };
  }
  if (!url.includes('?') && !url.endsWith('/_search')) {
    return resource;
  }
  const bundle = { resourceType: 'Bundle', type: 'searchset', entry: [{ resource, search: { mode: 'match' } }] };
  const next = new URL(url, `http://${request.headers.host}`);
  const page = Number(next.searchParams.get('_offset') ?? 0) + 1;
  next.searchParams.set('_offset', String(page));
  const more = next.searchParams.has('_count') && page < PAGES;
  return more ? { ...bundle, link: [{ relation: 'next', url: next.href }] } : bundle;
}

const RATE_LIMIT = ['0', '0', '0', '60'] as const;

function respond(request: IncomingMessage, response: ServerResponse, name: string): void {
  const text = JSON.stringify(answer(request, name));
  const status = request.method === 'POST' && request.url?.endsWith('/Patient') ? 201 : 200;
  const headers = { 'content-type': 'application/fhir+json', 'content-length': Buffer.byteLength(text) };
  const send = (): void => void response.writeHead(status, headers).end(text);
  const draw = random.next();
  if (draw >= 0.1) {
    send();
    return;
  }
  counts.faults++;
  if (draw < 0.025) {
    response.writeHead(429, { 'retry-after': random.pick(RATE_LIMIT), 'content-length': 0 }).end();
  } else if (draw < 0.05) {
    response.writeHead(503, { 'content-length': 0 }).end();
  } else if (draw < 0.06) {
    request.socket.resetAndDestroy();
  } else if (draw < 0.07) {
    response.writeHead(status, headers).write(text.slice(0, text.length / 2), () => request.socket.destroy());
  } else {
    const timer = setTimeout(send, 5 + random.below(80));
    response.once('close', () => clearTimeout(timer));
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    counts.requests++;
    respond(request, response, inspect(request, Buffer.concat(chunks).toString()));
  });
});
server.keepAliveTimeout = 90_000;
server.on('clientError', (_error, socket) => socket.destroy());
process.on('message', () => {
  server.getConnections((_error, connections) => {
    const report: ServerCounts = { ...counts, connections, examples };
    process.send?.(report);
  });
});
process.once('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
