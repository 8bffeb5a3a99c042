import { randomBytes, randomUUID } from 'node:crypto';
import type { EmulatorFixtures } from '../../testing/fixtures.types';

/**
 * Fixtures of a small clinic, with notes. The ids and the secret are new at each call, and stay the same once they are in
 * a file.
 */
export function exampleFixtures(): EmulatorFixtures {
  return {
    '//': [
      'Fixtures for: npx nestjs-medplum emulator --fixtures fixtures.json',
      'The member "//" is a comment. It may stand in each object of this file except in resources.',
      'A "name" is a symbolic name in this file. {{NAME}} stands for the reference of an earlier fixture (Patient/…),',
      'and {{NAME.id}} for its id. Each "id" and "secret" may be left out; then it is random, and new at each start.',
    ],
    projects: [{ name: 'CLINIC', id: randomUUID(), title: 'Example clinic' }],
    clients: [
      {
        '//': 'The client of your back end. It needs "admin": true to act on behalf of users.',
        name: 'APP',
        id: randomUUID(),
        secret: randomBytes(32).toString('hex'),
        project: 'CLINIC',
        title: 'Example app',
        admin: true,
      },
    ],
    resources: [
      {
        name: 'NORTHSIDE',
        project: 'CLINIC',
        resource: { resourceType: 'Organization', name: 'Northside Clinic' },
      },
      {
        name: 'HARBOUR',
        project: 'CLINIC',
        resource: { resourceType: 'Organization', name: 'Harbour Clinic' },
      },
      {
        '//': 'What practitioners of Northside may do: everything with its patients, and read organisations and staff.',
        name: 'NORTHSIDE_STAFF',
        project: 'CLINIC',
        resource: {
          resourceType: 'AccessPolicy',
          name: 'Staff of Northside',
          resource: [
            { resourceType: 'Patient', criteria: 'Patient?organization={{NORTHSIDE}}' },
            { resourceType: 'Organization', readonly: true },
            { resourceType: 'Practitioner', readonly: true },
          ],
        },
      },
      {
        '//': 'What patients may do: read their own record.',
        name: 'SELF',
        project: 'CLINIC',
        resource: {
          resourceType: 'AccessPolicy',
          name: 'Patient',
          resource: [{ resourceType: 'Patient', criteria: 'Patient?_id=%patient.id', readonly: true }],
        },
      },
      {
        name: 'NORA',
        project: 'CLINIC',
        resource: { resourceType: 'Practitioner', name: [{ given: ['Nora'], family: 'Example' }] },
      },
      {
        name: 'PAULA',
        id: randomUUID(),
        project: 'CLINIC',
        resource: {
          resourceType: 'Patient',
          name: [{ given: ['Paula'], family: 'Example' }],
          managingOrganization: { reference: '{{NORTHSIDE}}' },
        },
      },
      {
        '//': 'Neither Nora nor Paula can see this patient, who belongs to the other organisation.',
        name: 'OSKAR',
        id: randomUUID(),
        project: 'CLINIC',
        resource: {
          resourceType: 'Patient',
          name: [{ given: ['Oskar'], family: 'Example' }],
          managingOrganization: { reference: '{{HARBOUR}}' },
        },
      },
    ],
    memberships: [
      {
        '//': 'A user of your app. Store "ProjectMembership/<id>" with the account: it is the identity of the user.',
        name: 'NORA',
        id: randomUUID(),
        project: 'CLINIC',
        profile: 'NORA',
        accessPolicy: 'NORTHSIDE_STAFF',
      },
      { name: 'PAULA', id: randomUUID(), project: 'CLINIC', profile: 'PAULA', accessPolicy: 'SELF' },
    ],
  };
}
