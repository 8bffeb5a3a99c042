import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { ClinicUser } from './clinic-account';
import type { ClinicRequest } from './clinic-request';

/** Injects the user who is logged in as a parameter of a handler. */
export const CurrentUser = createParamDecorator(
  (_data: unknown, context: ExecutionContext): ClinicUser | undefined =>
    context.switchToHttp().getRequest<ClinicRequest>().user,
);
