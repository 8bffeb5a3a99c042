import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { ClinicUser } from './clinic-account';
import type { ClinicRequest } from './clinic-request';

/** Parameter of a handler: who is logged in. */
export const CurrentUser = createParamDecorator(
  (_data: unknown, context: ExecutionContext): ClinicUser | undefined =>
    context.switchToHttp().getRequest<ClinicRequest>().user,
);
