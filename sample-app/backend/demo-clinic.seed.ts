import { randomBytes } from 'node:crypto';
import type { AccessPolicy, Observation, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumEmulator, SeededMember } from 'nestjs-medplum/testing';
import type { DemoLogin } from './clinic.backend';

/** Staff see the records of their organisation and create records in it. The membership says what `%organization` is. */
const STAFF: AccessPolicy = {
  resourceType: 'AccessPolicy',
  name: 'Staff of one organisation',
  compartment: { reference: '%organization' },
  resource: [
    { resourceType: 'Patient', criteria: 'Patient?_compartment=%organization' },
    { resourceType: 'Observation', criteria: 'Observation?_compartment=%organization' },
    { resourceType: 'Organization', criteria: 'Organization?_id=%organization.id', readonly: true },
    { resourceType: 'Practitioner', readonly: true },
  ],
};

/** A patient can read her own records, but cannot write. */
const PATIENT: AccessPolicy = {
  resourceType: 'AccessPolicy',
  name: 'Patient',
  resource: [
    { resourceType: 'Patient', criteria: 'Patient?_id=%patient.id', readonly: true },
    { resourceType: 'Observation', criteria: 'Observation?_compartment=%patient', readonly: true },
  ],
};

/** Fills the embedded Medplum with two organisations, and returns their logins. The passwords are random. */
export async function seedDemoClinic(medplum: MedplumEmulator): Promise<DemoLogin[]> {
  const staffPolicy = await reference(medplum.createResource(STAFF));
  const patientPolicy = await reference(medplum.createResource(PATIENT));
  const north = await seedOrganization(medplum, staffPolicy, 'Northside Clinic', 'Nora', 'Lind');
  const harbour = await seedOrganization(medplum, staffPolicy, 'Harbour Clinic', 'Hugo', 'Brandt');

  const paula = await seedPatient(medplum, north.organization, ['Paula', 'Weber', '1984-03-12', 'female'], 62);
  await seedPatient(medplum, north.organization, ['Anton', 'Berger', '1957-11-02', 'male'], 71);
  await seedPatient(medplum, harbour.organization, ['Selma', 'Yilmaz', '1990-06-30', 'female'], 80);
  await seedPatient(medplum, harbour.organization, ['Oskar', 'Nilsson', '2001-01-19', 'male'], 66);
  const member = await medplum.createMember({ profile: paula, policy: patientPolicy });

  return [
    login('nora', 'practitioner', 'Northside Clinic', north.member),
    login('hugo', 'practitioner', 'Harbour Clinic', harbour.member),
    login('paula', 'patient', 'Northside Clinic', member),
  ];
}

async function seedOrganization(medplum: MedplumEmulator, policy: string, name: string, given: string, family: string) {
  const organization = await reference(medplum.createResource({ resourceType: 'Organization', name }));
  const member = await medplum.createMember({
    profile: { resourceType: 'Practitioner', name: [{ prefix: ['Dr.'], given: [given], family }] },
    access: [
      {
        policy: { reference: policy },
        parameter: [{ name: 'organization', valueReference: { reference: organization } }],
      },
    ],
  });
  return { organization, member };
}

/** Creates a patient of an organisation, with a heart rate. */
async function seedPatient(
  medplum: MedplumEmulator,
  organization: string,
  [given, family, birthDate, gender]: [string, string, string, NonNullable<Patient['gender']>],
  heartRate: number,
): Promise<string> {
  const meta = { accounts: [{ reference: organization }] };
  const patient = await reference(
    medplum.createResource<Patient>({
      resourceType: 'Patient',
      meta,
      name: [{ given: [given], family }],
      birthDate,
      gender,
      managingOrganization: { reference: organization },
    }),
  );
  await medplum.createResource<Observation>({
    resourceType: 'Observation',
    meta,
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '8867-4', display: 'Heart rate' }], text: 'Heart rate' },
    subject: { reference: patient },
    effectiveDateTime: '2024-01-10T08:00:00Z',
    valueQuantity: { value: heartRate, unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
  });
  return patient;
}

async function reference(created: Promise<{ resourceType: string; id: string }>): Promise<string> {
  const { resourceType, id } = await created;
  return `${resourceType}/${id}`;
}

function login(name: string, role: string, organization: string, { membership, profile }: SeededMember): DemoLogin {
  return { name, password: randomBytes(9).toString('base64url'), role, organization, membership, profile };
}
