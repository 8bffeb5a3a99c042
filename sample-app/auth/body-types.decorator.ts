import { type CustomDecorator, SetMetadata } from '@nestjs/common';

export const BODY_TYPES = 'clinic:body-types';

/** The media types of request bodies that handlers accept. Without it, that is only `application/json`. */
export function BodyTypes(...types: readonly string[]): CustomDecorator {
  return SetMetadata(BODY_TYPES, types);
}
