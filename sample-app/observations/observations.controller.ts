import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import type { Observation } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { fromUser, OnBehalfOf } from 'nestjs-medplum';
import { BodyTypes } from '../auth/body-types.decorator';
import { FhirIdPipe } from '../fhir/fhir-id.pipe';
import { updateOf } from '../fhir/resource.checks';
import { ObservationPipe, type PatientObservation } from './observation.pipe';
import { type ObservationQuery, ObservationQueryPipe } from './observation-query.pipe';
import { ObservationsService } from './observations.service';

@Controller('observations')
@BodyTypes('application/json', 'application/fhir+json')
@OnBehalfOf(fromUser('membership'))
export class ObservationsController {
  constructor(private readonly observations: ObservationsService) {}

  @Get()
  list(@Query(ObservationQueryPipe) query: ObservationQuery): Promise<Observation[]> {
    return this.observations.list(query);
  }

  @Get(':id')
  read(@Param('id', FhirIdPipe) id: string): Promise<Observation> {
    return this.observations.read(id);
  }

  @Post()
  create(@Body(ObservationPipe) observation: PatientObservation): Promise<Observation> {
    return this.observations.create(observation);
  }

  /** Responds with 412 if somebody else was faster. */
  @Put(':id')
  update(
    @Param('id', FhirIdPipe) id: string,
    @Body(ObservationPipe) observation: PatientObservation,
  ): Promise<Observation> {
    return this.observations.update(updateOf(id, observation));
  }

  @Delete(':id')
  @HttpCode(204)
  delete(@Param('id', FhirIdPipe) id: string): Promise<void> {
    return this.observations.delete(id);
  }
}
