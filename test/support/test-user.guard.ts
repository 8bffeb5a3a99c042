import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';

/** Stands for an app's authentication: logs in, a while later, whom the header `x-test-user` names. */
@Injectable()
export class TestUserGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string>; user?: object }>();
    const membership = request.headers['x-test-user'];
    if (membership !== undefined) {
      request.user = membership === 'without-membership' ? {} : { membership };
    }
    return true;
  }
}
