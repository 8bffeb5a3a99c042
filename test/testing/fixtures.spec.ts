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
