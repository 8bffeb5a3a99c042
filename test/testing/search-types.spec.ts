import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumEmulator } from 'nestjs-medplum/testing';

it('A search of several types finds an id that begins like a prefix of a date', async () => {
  const id = 'eb7d98f0-0a0f-4263-8b9c-627555403251';
  const patient: Patient = { resourceType: 'Patient', id };
  const emulator = await MedplumEmulator.start({
    fixtures: {
      projects: [{ name: 'P', title: 'P', strictMode: true, features: [] }],
      clients: [{ name: 'C', project: 'P', title: 'C', admin: true }],
      resources: [{ name: 'A', project: 'P', resource: patient }],
      memberships: [],
    },
  });
  try {
    const { clientId, clientSecret } = emulator.options();
    const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    const response = await fetch(`${emulator.baseUrl}fhir/R4?_type=Patient,Observation&_id=${id}`, {
      headers: { authorization },
    });
    expect(await response.json()).toMatchObject({ entry: [{ resource: { resourceType: 'Patient', id } }] });
  } finally {
    await emulator.close();
  }
});
