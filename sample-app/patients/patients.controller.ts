import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { fromUser, OnBehalfOf } from 'nestjs-medplum';
import { BodyTypes } from '../auth/body-types.decorator';
import { FhirIdPipe } from '../fhir/fhir-id.pipe';
import { updateOf } from '../fhir/resource.checks';
import { PatientPipe } from './patient.pipe';
import { type PatientQuery, PatientQueryPipe } from './patient-query.pipe';
import { PatientsService } from './patients.service';

/** Every call to Medplum that these handlers make is on behalf of `request.user.membership`. */
@Controller('patients')
@BodyTypes('application/json', 'application/fhir+json')
@OnBehalfOf(fromUser('membership'))
export class PatientsController {
  constructor(private readonly patients: PatientsService) {}

  @Get()
  list(@Query(PatientQueryPipe) query: PatientQuery): Promise<Patient[]> {
    return this.patients.list(query);
  }

  @Get(':id')
  read(@Param('id', FhirIdPipe) id: string): Promise<Patient> {
    return this.patients.read(id);
  }

  @Post()
  create(@Body(PatientPipe) patient: Patient): Promise<Patient> {
    return this.patients.create(patient);
  }

  /** Responds with 412 if somebody else was faster. */
  @Put(':id')
  update(@Param('id', FhirIdPipe) id: string, @Body(PatientPipe) patient: Patient): Promise<Patient> {
    return this.patients.update(updateOf(id, patient));
  }

  @Delete(':id')
  @HttpCode(204)
  delete(@Param('id', FhirIdPipe) id: string): Promise<void> {
    return this.patients.delete(id);
  }
}
