import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { call } from './call';

describe('an emulator with a file', () => {
  let folder: string;
  let persist: string;
  let emulator: MedplumEmulator | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'emulator-'));
    persist = join(folder, 'state.json');
  });

  afterEach(async () => {
    await emulator?.close();
    emulator = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  it('survives a restart with ids, versions, secrets, memberships and content', async () => {
    const first = await MedplumEmulator.start({ persist });
    const ada = await first.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'Arzt' }] },
      policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }, { resourceType: 'Binary' }],
    });
    const patient = await first.createResource({ resourceType: 'Patient', gender: 'female' });
    await call(first, 'PUT', `fhir/R4/Patient/${patient.id}`, { body: { ...patient, active: true } });
    const binary = await first.createBinary('hello', 'text/plain');
    const options = first.options();
    const history = await call(first, 'GET', `fhir/R4/Patient/${patient.id}/_history`);
    await first.close();

    emulator = await MedplumEmulator.start({ persist });
    expect(emulator.options()).toEqual({ ...options, baseUrl: emulator.baseUrl });
    const seen = await call(emulator, 'GET', `fhir/R4/Patient/${patient.id}`, { onBehalfOf: ada.membership });
    expect(seen.json).toMatchObject({ id: patient.id, active: true });
    const after = await call(emulator, 'GET', `fhir/R4/Patient/${patient.id}/_history`);
    expect(after.text.replaceAll(emulator.baseUrl, first.baseUrl)).toBe(history.text);
    expect((await call(emulator, 'GET', `fhir/R4/Binary/${binary.id}`)).text).toBe('hello');
    const [, further] = await Promise.all([
      emulator.createClient({ name: 'second' }),
      emulator.createResource({ resourceType: 'Patient' }),
    ]);
    expect(further.meta.author).toEqual(patient.meta.author);
  });

  it('ignores the fixtures once the file exists', async () => {
    const fixtures = { projects: [{ name: 'A' }], clients: [{ name: 'C', project: 'A', admin: true }] };
    const first = await MedplumEmulator.start({ persist, fixtures });
    const { vars } = first.seeded();
    await first.close();
    emulator = await MedplumEmulator.start({ persist, fixtures });
    expect(emulator.seeded().vars).toEqual(vars);
  });

  it('writes soon after a change, for the owner only, and leaves no draft behind', async () => {
    emulator = await MedplumEmulator.start({ persist });
    const { id } = await emulator.createResource({ resourceType: 'Patient' });
    for (let tries = 0; tries < 100 && !readFileSync(persist, 'utf8').includes(id); tries++) {
      await wait(50);
    }
    expect(readFileSync(persist, 'utf8')).toContain(id);
    expect(statSync(persist).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  it('does not persist what a failed transaction wrote', async () => {
    emulator = await MedplumEmulator.start({ persist, features: ['transaction-bundles'] });
    const request = { method: 'POST', url: 'Patient' };
    const body = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        { request, resource: { resourceType: 'Patient', name: [{ family: 'Rollback' }] } },
        { request, resource: { resourceType: 'Patient', frobnicate: 1 } },
      ],
    };
    expect((await call(emulator, 'POST', 'fhir/R4', { body })).status).toBe(400);
    await emulator.close();
    expect(readFileSync(persist, 'utf8')).not.toContain('Rollback');
    emulator = undefined;
  });

  it.each(['nonsense', '{"format":"other"}'])('refuses a file with %s, and does not touch it', async (content) => {
    writeFileSync(persist, content);
    await expect(MedplumEmulator.start({ persist })).rejects.toThrow(/state/);
    expect(readFileSync(persist, 'utf8')).toBe(content);
  });

  it('warns and goes on if the file cannot be written any more', async () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    emulator = await MedplumEmulator.start({ persist: join(place, 'state.json') });
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    rmSync(place, { recursive: true });
    const { id } = await emulator.createResource({ resourceType: 'Patient' });
    expect((await warned).message).toContain('state.json (ENOENT). Check that its folder exists');
    expect((await call(emulator, 'GET', `fhir/R4/Patient/${id}`)).status).toBe(200);
    mkdirSync(place);
  });

  it('writes nothing without the option', async () => {
    emulator = await MedplumEmulator.start();
    await emulator.createResource({ resourceType: 'Patient' });
    expect(existsSync(persist)).toBe(false);
  });
});
