import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';

/** The type `id` of FHIR R4 section 2.24.0.1, without `.` and `..`, because a URL resolves those. */
const ID = /^(?!\.{1,2}$)[A-Za-z0-9.-]{1,64}$/;

export function isFhirId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}

/** Checks the id of a resource in a path. */
@Injectable()
export class FhirIdPipe implements PipeTransform<unknown, string> {
  /** @throws BadRequestException */
  transform(id: unknown): string {
    if (!isFhirId(id)) {
      throw new BadRequestException('The id must be a FHIR id: 1 to 64 letters, digits, dots and dashes.');
    }
    return id;
  }
}
