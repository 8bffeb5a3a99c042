import { Injectable } from '@nestjs/common';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumService, type WithId } from 'nestjs-medplum';
import type { PatientQuery } from './patient-query.pipe';

/** The patients that the current user may see and change. Nothing here names that user, and nothing here checks rights. */
@Injectable()
export class PatientsService {
  constructor(private readonly medplum: MedplumService) {}

  list({ name, page }: PatientQuery): Promise<Patient[]> {
    // The library escapes the values of a list, so a comma in the name stays a comma.
    return this.medplum.searchResources('Patient', { name: name && [name], _sort: '-_lastUpdated', ...page });
  }

  read(id: string): Promise<WithId<Patient>> {
    return this.medplum.readResource('Patient', id);
  }

  create(patient: Patient): Promise<WithId<Patient>> {
    return this.medplum.createResource(patient);
  }

  update(patient: Patient): Promise<WithId<Patient>> {
    return this.medplum.updateResource(patient);
  }

  delete(id: string): Promise<void> {
    return this.medplum.deleteResource('Patient', id);
  }
}
