import { randomUUID } from 'node:crypto';
import { and, dateRange, literal, type MedplumService, quantity, referenceTo, token } from 'nestjs-medplum';
import { type Member, type MedplumServer, startMedplumServer } from '../support/medplum-server';

const SYSTEM = `urn:uuid:${randomUUID()}`;

let server: MedplumServer;
let medplum: MedplumService;
let ann: Member;

beforeAll(async () => {
  server = await startMedplumServer();
  ann = await server.createMember('Ann', [
    { resourceType: 'Patient', criteria: 'Patient?gender=female' },
    { resourceType: 'Observation' },
    { resourceType: 'Organization' },
  ]);
  medplum = server.medplum.actingAs(ann.membership);
});
afterAll(() => server?.close());

/** Creates patients with a tag of their own, and one with the same tag that Ann may not see. */
async function createPatients(count: number): Promise<{ ids: string[]; tag: string }> {
  const tag = randomUUID();
  const meta = { tag: [{ system: SYSTEM, code: tag }] };
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const birthDate = `1990-01-0${i + 1}`;
    ids.push((await medplum.createResource({ resourceType: 'Patient', gender: 'female', birthDate, meta })).id);
  }
  await server.medplum.createResource({ resourceType: 'Patient', gender: 'male', meta }, { onBehalfOf: '' });
  return { ids, tag: `${SYSTEM}|${tag}` };
}

describe('Pages of a search', () => {
  it('are read one after the other, and hold only what the user may see', async () => {
    const { ids, tag } = await createPatients(5);
    const pages: string[][] = [];
    for await (const page of medplum.searchResourcePages('Patient', { _tag: tag, _count: 2, _sort: 'birthdate' })) {
      pages.push(page.map(({ id }) => id));
    }
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  });

  it('are read only when the caller requests them', async () => {
    const { ids, tag } = await createPatients(3);
    const query = { _tag: tag, _count: 1, _sort: 'birthdate' } as const;
    const before = server.events.length;
    const iterator = medplum.iterateResources('Patient', query);
    expect(server.events).toHaveLength(before);
    for await (const { id } of iterator) {
      expect(id).toBe(ids[0]);
      break;
    }
    expect(server.events).toHaveLength(before + 1);
  });

  it('are POSTed if the search was, so that no query is in a URL', async () => {
    const { ids, tag } = await createPatients(3);
    const query = { _tag: tag, _count: 2, _sort: 'birthdate' } as const;
    const before = server.events.length;
    const found: string[] = [];
    for await (const { id } of medplum.iterateResources('Patient', query, { post: true })) {
      found.push(id);
    }
    expect(found).toEqual(ids);
    const events = server.events.slice(before);
    expect(events.map(({ method, pathTemplate }) => `${method} ${pathTemplate}`)).toEqual([
      'POST /fhir/R4/Patient/_search',
      'POST /fhir/R4/Patient/_search',
    ]);
    expect(events[0]?.query).toMatchObject({ _tag: [tag] });
    const inUrls = server.emulator?.requests.slice(-2).map(({ query: text }) => text) ?? [];
    expect(inUrls.join('')).toBe('');
  });

  it('end after maxResources resources', async () => {
    const { ids, tag } = await createPatients(4);
    const found: string[] = [];
    const query = { _tag: tag, _sort: 'birthdate', _count: 2 } as const;
    for await (const { id } of medplum.iterateResources('Patient', query, { maxResources: 3 })) {
      found.push(id);
    }
    expect(found).toEqual(ids.slice(0, 3));
  });
});

describe('A search', () => {
  it('is POSTed if its query is too long for a URL', async () => {
    const { ids, tag } = await createPatients(2);
    const many = [...ids, ...Array.from({ length: 200 }, () => randomUUID())];
    const found = await medplum.searchResources('Patient', { _tag: tag, _id: many, _sort: 'birthdate' });
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(server.events.at(-1)).toMatchObject({ method: 'POST', action: 'search', effect: 'none' });
  });

  it('separates the matches from the included resources', async () => {
    const organization = await medplum.createResource({ resourceType: 'Organization', name: 'General' });
    const { tag } = await createPatients(1);
    const patient = await medplum.createResource({
      resourceType: 'Patient',
      gender: 'female',
      managingOrganization: { reference: `Organization/${organization.id}` },
    });
    const result = await medplum.searchWithIncludes('Patient', {
      _id: patient.id,
      _include: ['Patient:organization'],
      _total: 'accurate',
    });
    expect(result.matches.map(({ id }) => id)).toEqual([patient.id]);
    expect(result.included.map(({ id }) => id)).toEqual([organization.id]);
    expect(result.total).toBe(1);
    expect(result.bundle.entry).toHaveLength(2);
    expect(await medplum.searchWithIncludes('Patient', { _tag: tag })).not.toHaveProperty('total');
  });

  it('may cover several types at once', async () => {
    const patient = await medplum.createResource({ resourceType: 'Patient', gender: 'female' });
    const organization = await medplum.createResource({ resourceType: 'Organization', name: 'General' });
    const bundle = await medplum.searchTypes(['Patient', 'Organization'], { _id: [patient.id, organization.id] });
    const types = bundle.entry?.map(({ resource }) => resource?.resourceType);
    expect(types?.toSorted()).toEqual(['Organization', 'Patient']);
    await expect(medplum.searchTypes(['Patient', 'Condition'])).rejects.toMatchObject({ status: 403 });
    await expect(medplum.searchTypes([])).rejects.toThrow(/types of a search must be a list of at least one/);
  });

  it('finds resources by values with special characters, periods, quantities and references', async () => {
    const name = `A,B|C$D\\${randomUUID()}`;
    const patient = await medplum.createResource({
      resourceType: 'Patient',
      gender: 'female',
      birthDate: '1980-02-03',
      identifier: [{ system: SYSTEM, value: 'one,two' }],
      address: [{ city: name }],
    });
    const observation = await medplum.createResource({
      resourceType: 'Observation',
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
      subject: { reference: `Patient/${patient.id}` },
      valueQuantity: { value: 72, system: 'http://unitsofmeasure.org', code: '/min', unit: 'beats' },
    });
    const patients = async (query: object) =>
      (await medplum.searchResources('Patient', { _id: patient.id, ...query })).map(({ id }) => id);
    expect(await patients({ identifier: token(SYSTEM, 'one,two') })).toEqual([patient.id]);
    expect(await patients({ identifier: token(SYSTEM, 'one') })).toEqual([]);
    expect(await patients({ birthdate: dateRange({ ge: '1980-01-01', lt: '1981-01-01' }) })).toEqual([patient.id]);
    expect(await patients({ birthdate: dateRange({ ge: '1981-01-01' }) })).toEqual([]);
    expect(await patients({ birthdate: dateRange({ ge: '1980', le: '1980' }) })).toEqual([patient.id]);
    expect(await patients({ birthdate: dateRange({ gt: '1979-12', lt: '1981-01' }) })).toEqual([patient.id]);
    expect(await patients({ birthdate: dateRange({ gt: '1980' }) })).toEqual([]);
    expect(await patients({ gender: and('female', ['female', 'male']) })).toEqual([patient.id]);
    expect(await patients({ gender: and('female', 'male') })).toEqual([]);
    const found = await medplum.searchResources('Observation', {
      subject: referenceTo(patient),
      code: token('http://loinc.org', '8867-4'),
      'value-quantity': quantity('gt', 70, { system: 'http://unitsofmeasure.org', code: '/min' }),
    });
    expect(found.map(({ id }) => id)).toEqual([observation.id]);
    expect(String(literal(name))).toBe(String.raw`A\,B\|C\$D\\` + name.slice('A,B|C$D\\'.length));
  });
});
