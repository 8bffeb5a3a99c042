import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from './measured-process';
import { PATIENT_ID } from './patient-id';

/** A server that takes `latency` ms for each request, and works on `concurrency` requests at a time, in order of arrival. */
const [latency = 20, concurrency = 32] = process.argv.slice(2).map(Number);
const BODY = Buffer.from(JSON.stringify({ resourceType: 'Patient', id: PATIENT_ID }));

const waiting: (() => void)[] = [];
let running = 0;

function work(respond: () => void): void {
  running++;
  setTimeout(() => {
    respond();
    running--;
    const next = waiting.shift();
    if (next) {
      work(next);
    }
  }, latency);
}

const server = createServer((request, response) => {
  const respond = (): void => {
    response.writeHead(200, { 'content-type': 'application/fhir+json', 'content-length': BODY.length });
    response.end(BODY);
  };
  request.resume().once('end', () => {
    if (running < concurrency) {
      work(respond);
    } else {
      waiting.push(respond);
    }
  });
});
server.keepAliveTimeout = 90_000;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  serve(`http://127.0.0.1:${port}/`, () => Promise.reject(new Error('The server process knows no commands.')));
});
