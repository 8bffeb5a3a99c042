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
import { CallScope } from './call-scope';
import { type InboundRequest, inboundRequestOf } from './inbound-request';
import { type Enter, keepScope } from './keep-scope';
import type { ResolvedIdentity } from './invocation';
import { OnBehalfOfInvocations } from './on-behalf-of.invocations';

interface Reply {
  getHeader(name: string): unknown;
  header(name: string, value: string): unknown;
}

/**
 * Runs a decorated handler inside the scopes of its identities. That covers its pipes, the handler, and what the handler
 * returns: a Promise, an Observable, a stream or server-sent events. `@OnBehalfOf()` adds it to the handler.
 */
@Injectable()
export class OnBehalfOfInterceptor implements NestInterceptor {
  #invocations: OnBehalfOfInvocations | undefined;
  readonly #moduleRef: ModuleRef;

  constructor(moduleRef: ModuleRef) {
    this.#moduleRef = moduleRef;
  }

  /** @throws UnauthorizedException or ForbiddenException when a source returns nobody. */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> | Promise<Observable<unknown>> {
    const invocations = (this.#invocations ??= findProvider(this.#moduleRef, OnBehalfOfInvocations));
    const invocation = invocations.of(context);
    if (!invocation?.open()) {
      return next.handle();
    }
    if (context.getType() === 'http') {
      forbidCaching(context.getArgByIndex<Reply>(1));
    }
    const inbound = inboundRequestOf(context);
    const resolution = invocations.identitiesOf(invocation, context, this.#moduleRef);
    return resolution instanceof Promise
      ? resolution.then((resolved) => handleInside(enterAll(resolved, inbound), next))
      : handleInside(enterAll(resolution, inbound), next);
  }
}

/** Runs the handler inside the scopes, and whatever is lazy in its result too. */
function handleInside(enter: Enter, next: CallHandler): Observable<unknown> {
  return new Observable((subscriber) =>
    enter(() =>
      next
        .handle()
        .pipe(map((value: unknown) => keepScopeOfAnswer(value, enter)))
        .subscribe(subscriber),
    ),
  );
}

/** A cache would serve the response of one user to others, since its key is the URL. A header of the handler wins. */
function forbidCaching(reply: Reply): void {
  if (reply.getHeader('cache-control') === undefined) {
    reply.header('cache-control', 'private, no-store');
  }
}

function enterAll(identities: readonly ResolvedIdentity[], inbound: InboundRequest | undefined): Enter {
  const [only, ...others] = identities;
  if (only && others.length === 0) {
    const { scope: ambient } = only.client.identity;
    const scope = new CallScope(only.identity, inbound);
    return (callback) => ambient.enter(scope, callback);
  }
  const scopes = identities.map(({ client, identity }) => ({
    ambient: client.identity.scope,
    scope: new CallScope(identity, inbound),
  }));
  return (callback) =>
    scopes.reduceRight<typeof callback>(
      (inner, { ambient, scope }) =>
        () =>
          ambient.enter(scope, inner),
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
