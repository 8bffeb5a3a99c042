// npm run bench:emulator
// Measures start-up, reads, searches and creates of the embedded Medplum, on behalf of a member with an access policy.
// The client runs in its own process, so use a machine with two cores. Prints one line for each measurement.
const { fork } = require('node:child_process');
const { Pool } = require('undici');

const CONNECTIONS = 16;
const PATIENTS = 2000;
const SECONDS = 3;

async function measure(pool, name, seconds, request) {
  const end = Date.now() + seconds * 1000;
  let sent = 0;
  let failed = 0;
  const worker = async () => {
    while (Date.now() < end) {
      const { statusCode, body } = await pool.request(request(sent++));
      await body.text();
      failed += statusCode < 300 ? 0 : 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  process.stdout.write(`${name}: ${Math.round(sent / seconds)} requests/s${failed ? `, ${failed} failed` : ''}\n`);
}

async function client({ baseUrl, authorization, onBehalfOf, ids }) {
  const pool = new Pool(baseUrl.slice(0, -1), { connections: CONNECTIONS });
  const headers = { authorization, 'x-medplum-on-behalf-of': onBehalfOf };
  const get = (path) => ({ method: 'GET', path: `/fhir/R4/${path}`, headers });
  const read = (index) => get(`Patient/${ids[index % ids.length]}`);
  await measure(pool, 'warm-up', 1, read);
  await measure(pool, 'read', SECONDS, read);
  await measure(pool, 'search by family, policy with criteria', SECONDS, (index) =>
    get(`Patient?family=Fam${index % 100}`),
  );
  await measure(pool, 'search by gender, newest first', SECONDS, () =>
    get('Patient?gender=female&_sort=-_lastUpdated'),
  );
  await measure(pool, 'search by identifier', SECONDS, (index) =>
    get(`Patient?identifier=urn:bench|${index % PATIENTS}`),
  );
  await measure(pool, 'create', SECONDS, (index) => ({
    method: 'POST',
    path: '/fhir/R4/Observation',
    headers: { ...headers, 'content-type': 'application/fhir+json' },
    body: JSON.stringify({
      resourceType: 'Observation',
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
      subject: { reference: `Patient/${ids[index % ids.length]}` },
      valueQuantity: { value: index, unit: '/min' },
    }),
  }));
  await pool.close();
}

async function server() {
  const start = performance.now();
  const { MedplumEmulator } = require('../dist/testing');
  const emulator = await MedplumEmulator.start();
  process.stdout.write(`start-up: ${Math.round(performance.now() - start)} ms\n`);
  const organization = await emulator.createResource({ resourceType: 'Organization', name: 'Bench' });
  const reference = `Organization/${organization.id}`;
  const { membership } = await emulator.createMember({
    profile: { resourceType: 'Practitioner', name: [{ family: 'Bench' }] },
    policy: [
      { resourceType: 'Patient', criteria: `Patient?organization=${reference}` },
      { resourceType: 'Observation' },
      { resourceType: 'Practitioner' },
    ],
  });
  const ids = [];
  for (let index = 0; index < PATIENTS; index++) {
    const patient = await emulator.createResource({
      resourceType: 'Patient',
      name: [{ family: `Fam${index % 100}`, given: [`G${index}`] }],
      gender: index % 2 ? 'male' : 'female',
      identifier: [{ system: 'urn:bench', value: String(index) }],
      managingOrganization: { reference },
    });
    ids.push(patient.id);
  }
  const { baseUrl, clientId, clientSecret } = emulator.options();
  const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
  const child = fork(__filename, ['client']);
  child.send({ baseUrl, authorization, onBehalfOf: membership, ids });
  child.once('exit', () => {
    process.stdout.write(`memory: ${Math.round(process.memoryUsage().rss / 1e6)} MB\n`);
    emulator.close().catch(report);
  });
}

function report(error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}

if (process.argv[2] === 'client') {
  process.once('message', (message) => {
    client(message)
      .catch(report)
      .finally(() => process.disconnect());
  });
} else {
  server().catch(report);
}
