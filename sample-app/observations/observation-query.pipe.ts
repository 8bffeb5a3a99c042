import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { isFhirId } from '../fhir/fhir-id.pipe';
import { checkParameters, type Page, pageOf } from '../fhir/page.query';
import type { Json } from '../fhir/resource.checks';

/** Which observations a list shows. */
export interface ObservationQuery {
  /** Id of a patient. */
  readonly patient: string | undefined;
  readonly page: Page;
}

/** `?patient=&count=&offset=` */
@Injectable()
export class ObservationQueryPipe implements PipeTransform<Json, ObservationQuery> {
  /** @throws BadRequestException */
  transform(query: Json): ObservationQuery {
    checkParameters(query, ['patient', 'count', 'offset']);
    const { patient } = query;
    if (patient !== undefined && !isFhirId(patient)) {
      throw new BadRequestException('patient must be the id of one patient.');
    }
    return { patient, page: pageOf(query) };
  }
}
