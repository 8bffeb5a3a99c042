import { type CustomDecorator, SetMetadata } from '@nestjs/common';

export const IS_PUBLIC = 'clinic:public';

/** Marks handlers that need no login. */
export function Public(): CustomDecorator {
  return SetMetadata(IS_PUBLIC, true);
}
