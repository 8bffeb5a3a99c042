import { randomUUID } from 'node:crypto';
import { MedplumEmulator, type EmulatorFixtures } from 'nestjs-medplum/testing';
import { call } from './call';

const start = (fixtures: unknown): Promise<MedplumEmulator> =>
  MedplumEmulator.start({ fixtures: fixtures as EmulatorFixtures });

describe('fixtures', () => {
  it('create projects, clients, resources and memberships under symbolic names', async () => {
    const emulator = await start({
      projects: [{ name: 'P' }],
      clients: [{ name: 'C', project: 'P', title: 'Clinic', admin: true }],
      resources: [
        { name: 'ORG', project: 'P', resource: { resourceType: 'Organization', name: 'One' } },
        { name: 'ADA', project: 'P', resource: { resourceType: 'Practitioner', name: [{ family: 'Arzt' }] } },
        {
          name: 'PAT',
          project: 'P',
          resource: { resourceType: 'Patient', managingOrganization: { reference: '{{ORG}}' } },
        },
        {
          name: 'POL',
          project: 'P',
          resource: {
            resourceType: 'AccessPolicy',
            resource: [
              { resourceType: 'Patient', criteria: 'Patient?organization=Organization/{{ORG.id}}' },
              { resourceType: 'Practitioner' },
            ],
          },
        },
      ],
      memberships: [{ name: 'ADA', project: 'P', profile: 'ADA', accessPolicy: 'POL' }],
    });
    try {
      const { vars } = emulator.seeded();
      const response = await call(emulator, 'GET', `fhir/R4/${vars.PAT}`, { onBehalfOf: vars['ADA.membership'] });
      expect(response.status).toBe(200);
      expect(emulator.options('C').clientSecret).toBe(vars['C.secret']);
    } finally {
      await emulator.close();
    }
  });

  it('fix ids, secrets and external ids, and may have comments', async () => {
    const [project, client, patient, binary, membership, own] = Array.from({ length: 6 }, () => randomUUID());
    const emulator = await start({
      '//': 'a note',
      projects: [{ '//': ['two', 'notes'], name: 'P', id: project }],
      clients: [{ name: 'C', project: 'P', admin: true, id: client, secret: 'not-a-real.secret+/=' }],
      resources: [
        { name: 'PAT', project: 'P', id: patient, resource: { resourceType: 'Patient' } },
        { name: 'PRA', project: 'P', resource: { resourceType: 'Practitioner', id: own } },
        { name: 'BIN', project: 'P', id: binary, binary: { contentType: 'text/plain', text: 'hello' } },
      ],
      memberships: [{ name: 'M', project: 'P', profile: 'PAT', id: membership, externalId: 'staff-1', '//': 'a note' }],
    });
    try {
      expect(emulator.options()).toMatchObject({ clientId: client, clientSecret: 'not-a-real.secret+/=' });
      expect(emulator.seeded().vars).toMatchObject({
        P: `Project/${project}`,
        PAT: `Patient/${patient}`,
        PRA: `Practitioner/${own}`,
        'M.externalId': 'staff-1',
      });
      expect(emulator.members()).toEqual([
        {
          name: 'M',
          membership: `ProjectMembership/${membership}`,
          profile: `Patient/${patient}`,
          externalId: 'staff-1',
          admin: false,
          active: true,
        },
      ]);
      const onBehalfOf = `ProjectMembership/${membership}`;
      expect((await call(emulator, 'GET', `fhir/R4/Patient/${patient}`, { onBehalfOf })).json.id).toBe(patient);
      expect((await call(emulator, 'GET', `fhir/R4/Binary/${binary}`)).text).toBe('hello');
    } finally {
      await emulator.close();
    }
  });

  it('are refused with unknown members, ids that no server has, and secrets that no header can carry', async () => {
    const id = randomUUID();
    const resource = { resourceType: 'Patient', id };
    const fixtures = {
      projects: [{ name: 'P', id: 'clinic' }],
      clients: [{ name: 'C', project: 'P', secret: 'planted: secret', acessPolicy: 'X' }],
      resources: [
        { name: 'A', project: 'P', resource },
        { name: 'B', project: 'P', id, resource: { resourceType: 'Patient' } },
        { name: 'D', project: 'P', id: randomUUID(), resource },
        { name: 'E', project: 'P', resource: { resourceType: 'Practitioner', id } },
      ],
      memberships: [{ name: 'M', project: 'P', profile: 'A', externalId: '' }],
    };
    await expect(start(fixtures)).rejects.toThrow(
      [
        'The fixtures have 6 problem(s):',
        '- projects[0].id: must be a UUID in lower case, as the ids of Medplum are',
        '- clients[0].acessPolicy: there is no such member; use name, id, secret, project, title, admin, accessPolicy',
        '- clients[0].secret: must be a string of letters, digits and -._+/=',
        '- resources[1].id: an earlier fixture of this type has the same id',
        '- resources[2]: has two ids; keep either id or resource.id',
        '- memberships[0].externalId: must be a string that is not empty',
      ].join('\n'),
    );
  });

  it('are refused with a list of every problem if they are malformed', async () => {
    const fixtures = {
      projects: [{ name: 'P' }, { name: 'P' }],
      clients: [{ name: 'C', project: 'Q' }],
      resources: [
        { name: 'X', project: 'P', resource: { resourceType: 'Frobnicator' } },
        { name: 'Y', project: 'P' },
        {
          name: 'Z',
          project: 'P',
          resource: { resourceType: 'Patient', managingOrganization: { reference: '{{LATER}}' } },
        },
      ],
      memberships: [{ name: 'M', project: 'P', profile: 'X', accessPolicy: 'Z' }],
      patients: [],
    };
    await expect(start(fixtures)).rejects.toThrow(
      [
        'The fixtures have 8 problem(s):',
        '- patients: there is no such section; use projects, clients, resources, memberships',
        '- projects[1].name: "P" is used twice',
        '- clients[0].project: must be the name of an earlier fixture, got "Q"',
        '- resources[0].resource: resourceType must be a FHIR or Medplum resource type, got "Frobnicator"',
        '- resources[1]: needs either resource or binary, and not both',
        '- resources[2].resource: {{LATER}} must be the name of an earlier fixture',
        '- memberships[0].profile: must not be "X", whose type is Frobnicator',
        '- memberships[0].accessPolicy: must not be "Z", whose type is Patient',
      ].join('\n'),
    );
  });

  it('are refused with a list of every resource that is not valid FHIR', async () => {
    const fixtures = {
      projects: [{ name: 'P' }],
      clients: [{ name: 'C', project: 'P', admin: true }],
      resources: [
        { name: 'A', project: 'P', resource: { resourceType: 'Patient', birthDate: 'yesterday' } },
        { name: 'B', project: 'P', resource: { resourceType: 'Observation', status: 'final' } },
      ],
    };
    await expect(start(fixtures)).rejects.toThrow(
      /2 resource\(s\) that are not valid:\n- A: .*date.*\n- B: .*required/,
    );
  });

  it.each([null, [], 'text'])('are refused if they are %j', async (fixtures) => {
    await expect(start(fixtures)).rejects.toThrow('they must be an object');
  });
});
