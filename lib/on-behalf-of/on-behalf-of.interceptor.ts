import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  StreamableFile,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { map, Observable } from 'rxjs';
import { findProvider } from './find-provider';
import { type Enter, keepScope } from './keep-scope';
import { OnBehalfOfInvocations, type ResolvedIdentity } from './on-behalf-of.invocations';

interface Reply {
  getHeader(name: string): unknown;
  header(name: string, value: string): unknown;
}

/**
 * Runs a decorated handler inside the scopes of its identities: pipes, handler, and whatever the handler returns, be it
 * a Promise, an Observable, a stream or server-sent events. `@OnBehalfOf()` brings it along.
 */
@Injectable()
export class OnBehalfOfInterceptor implements NestInterceptor {
  constructor(private readonly moduleRef: ModuleRef) {}

  /** @throws UnauthorizedException or ForbiddenException when nobody is named. */
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const invocations = findProvider(this.moduleRef, OnBehalfOfInvocations);
    if (!invocations.acting(context)) {
      return next.handle();
    }
    const invocation = invocations.of(context);
    if (invocation.opened) {
      return next.handle();
    }
    invocation.opened = true;
    if (context.getType() === 'http') {
      forbidCaching(context.switchToHttp().getResponse<Reply>());
    }
    const enter = enterAll(await invocations.resolveOnce(context, this.moduleRef));
    return new Observable((subscriber) =>
      enter(() =>
        next
          .handle()
          .pipe(map((value) => keepScopeOfAnswer(value, enter)))
          .subscribe(subscriber),
      ),
    );
  }
}

/** Caches key by URL, and the answer is the chart of one user. What the handler sets afterwards wins. */
function forbidCaching(reply: Reply): void {
  if (reply.getHeader('cache-control') === undefined) {
    reply.header('cache-control', 'private, no-store');
  }
}

function enterAll(identities: readonly ResolvedIdentity[]): Enter {
  return (callback) =>
    identities.reduceRight<typeof callback>(
      (inner, { client, identity }) =>
        () =>
          client.identity.scope.run(identity, inner),
      callback,
    )();
}

function keepScopeOfAnswer(value: unknown, enter: Enter): unknown {
  if (value instanceof StreamableFile) {
    keepScope(value.getStream(), enter);
    return value;
  }
  return keepScope(value, enter);
}
