import { Injectable, UnprocessableEntityException } from '@nestjs/common';
import type { Observation } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumForbiddenError, MedplumNotFoundError, MedplumService, type WithId } from 'nestjs-medplum';
import { type PatientObservation, patientId } from './observation.pipe';
import type { ObservationQuery } from './observation-query.pipe';

/** The observations that the current user may see and change. */
@Injectable()
export class ObservationsService {
  constructor(private readonly medplum: MedplumService) {}

  list({ patient, page }: ObservationQuery): Promise<Observation[]> {
    const subject = patient && `Patient/${patient}`;
    return this.medplum.searchResources('Observation', { subject, _sort: '-_lastUpdated', ...page });
  }

  read(id: string): Promise<WithId<Observation>> {
    return this.medplum.readResource('Observation', id);
  }

  async create(observation: PatientObservation): Promise<WithId<Observation>> {
    await this.#checkSubject(observation);
    return this.medplum.createResource<Observation>(observation);
  }

  async update(observation: PatientObservation): Promise<WithId<Observation>> {
    await this.#checkSubject(observation);
    return this.medplum.updateResource<Observation>(observation);
  }

  delete(id: string): Promise<void> {
    return this.medplum.deleteResource('Observation', id);
  }

  /** Medplum does not check the resources that a write refers to. Without this, users could add to a foreign chart. */
  async #checkSubject({ subject }: PatientObservation): Promise<void> {
    try {
      await this.medplum.readResource('Patient', patientId(subject.reference));
    } catch (error) {
      if (error instanceof MedplumNotFoundError || error instanceof MedplumForbiddenError) {
        throw new UnprocessableEntityException('subject is not a patient that you can see.');
      }
      throw error;
    }
  }
}
