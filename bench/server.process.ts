import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Size } from './bench.types';
import { serve } from './measured-process';
import { PATIENT_ID, PATIENT_IDS } from './patient-id';

/** What this stand-in for Medplum responds with. It responds at once, because the benchmark measures the clients. */
const PATIENT = {
  resourceType: 'Patient',
  id: PATIENT_ID,
  meta: { versionId: '00000000-0000-4000-8000-000000000001', lastUpdated: '2026-01-01T00:00:00.000Z' },
  active: true,
  identifier: [{ system: 'https://example.org/mrn', value: '4711' }],
  telecom: [{ system: 'phone', value: '+1 555 0100', use: 'home' }],
  address: [{ line: ['742 Evergreen Terrace'], city: 'Springfield', country: 'US' }],
  generalPractitioner: [{ reference: 'Practitioner/00000000-0000-4000-8000-000000000002' }],
  text: { status: 'generated', div: '' },
};

function patient(bytes: number): object {
  const rest = bytes - JSON.stringify(PATIENT).length;
  return { ...PATIENT, text: { ...PATIENT.text, div: 'x'.repeat(Math.max(0, rest)) } };
}

/** A bundle of resources of 1 KB each. */
const bundle = (kilobytes: number) => ({
  resourceType: 'Bundle',
  type: 'searchset',
  entry: Array.from({ length: kilobytes }, () => ({ resource: patient(970), search: { mode: 'match' } })),
});

const BODIES: Readonly<Record<Size, Buffer>> = {
  '1 KB': Buffer.from(JSON.stringify(patient(1024))),
  '100 KB': Buffer.from(JSON.stringify(bundle(100))),
  '1 MB': Buffer.from(JSON.stringify(bundle(1024))),
};

const COMPRESSED: Readonly<Record<Size, Buffer>> = {
  '1 KB': gzipSync(BODIES['1 KB']),
  '100 KB': gzipSync(BODIES['100 KB']),
  '1 MB': gzipSync(BODIES['1 MB']),
};

/**
 * The header value that the `compression` option sends. fetch and axios always accept compressed responses; they get
 * plain ones here, so that they do the same work as the other clients.
 */
const ACCEPTS_COMPRESSED = 'gzip, br';

function sizeOf(path: string): Size {
  if (path.includes('_count=1000')) {
    return '1 MB';
  }
  return path.includes('_count=100') ? '100 KB' : '1 KB';
}

/** Reads of the patients of a batch, by the end of their path. */
const BATCHED = new Map(
  PATIENT_IDS.map((id) => [id, Buffer.from(BODIES['1 KB'].toString().replace(PATIENT_ID, id))] as const),
);

/** The response to the batch that reads all of them, in their order. */
const BATCH = Buffer.from(
  JSON.stringify({
    resourceType: 'Bundle',
    type: 'batch-response',
    entry: [...BATCHED.values()].map((body) => ({
      response: { status: '200', outcome: { resourceType: 'OperationOutcome', id: 'ok' } },
      resource: JSON.parse(body.toString()) as object,
    })),
  }),
);

const TOKEN = Buffer.from(JSON.stringify({ access_token: 'token', token_type: 'Bearer', expires_in: 3600 }));

const server = createServer((request, response) => {
  const path = request.url ?? '';
  const compressed = request.headers['accept-encoding'] === ACCEPTS_COMPRESSED;
  const fixed = path.includes('oauth2/token') ? TOKEN : path === '/fhir/R4' ? BATCH : BATCHED.get(path.slice(-36));
  const body = fixed ?? (compressed ? COMPRESSED : BODIES)[sizeOf(path)];
  request.resume().once('end', () => {
    response.writeHead(200, {
      'content-type': 'application/fhir+json; charset=utf-8',
      'content-length': body.length,
      ...(compressed ? { 'content-encoding': 'gzip' } : {}),
      etag: 'W/"1"',
      ratelimit: ['"requests";r=59998;t=60', '"fhirInteractions";r=48497;t=4'],
    });
    response.end(body);
  });
});
server.keepAliveTimeout = 90_000;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  serve(`http://127.0.0.1:${port}/`, () => Promise.reject(new Error('The server process knows no commands.')));
});
