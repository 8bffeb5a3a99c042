import { Injectable, type PipeTransform } from '@nestjs/common';
import { checkParameters, type Page, pageOf, textParameter } from '../fhir/page.query';
import type { Json } from '../fhir/resource.checks';

/** Which patients a list shows. */
export interface PatientQuery {
  readonly name: string | undefined;
  readonly page: Page;
}

/** `?name=&count=&offset=` */
@Injectable()
export class PatientQueryPipe implements PipeTransform<Json, PatientQuery> {
  /** @throws BadRequestException */
  transform(query: Json): PatientQuery {
    checkParameters(query, ['name', 'count', 'offset']);
    return { name: textParameter(query, 'name'), page: pageOf(query) };
  }
}
