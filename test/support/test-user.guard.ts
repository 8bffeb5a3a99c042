import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';

/** Stands in for an app's authentication: logs in the user in the header `x-test-user`, asynchronously. */
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
