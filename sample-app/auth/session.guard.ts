import { type CanActivate, type ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthService } from './auth.service';
import type { ClinicRequest } from './clinic-request';
import { IS_PUBLIC } from './public.decorator';
import { loginOf } from './session.cookie';

/** Guards every handler that is not `@Public()`, and puts the user into `request.user`. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly auth: AuthService,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.getAllAndOverride<boolean | undefined>(IS_PUBLIC, [context.getHandler(), context.getClass()])) {
      return true;
    }
    const request = context.switchToHttp().getRequest<ClinicRequest>();
    const login = loginOf(request);
    // The cookie only names a login. For each request, the server looks up the membership in its own accounts.
    const user = login === undefined ? undefined : this.auth.find(login);
    if (!user) {
      throw new UnauthorizedException('You are not logged in. Log in with POST /auth/login.');
    }
    request.user = user;
    return true;
  }
}
