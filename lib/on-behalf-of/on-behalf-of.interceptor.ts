import { Stream } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
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
import { HandlerScopes } from './handler-scopes';
import { graphqlReplyOf, inboundRequestOf } from './inbound-request';
import { keepScope } from './keep-scope';
import { type Reauthorization, untilRefused } from './reauthorization';
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
    // Guard and interceptor may stand on the class and on the handler. An outer interceptor may run the handler again.
    if (!invocation || invocation.isInside) {
      return next.handle();
    }
    if (context.getType() === 'http') {
      forbidCaching(context.getArgByIndex<Reply>(1));
    } else if (context.getType<string>() === 'graphql') {
      // A query may come by GET. Only a response of Express or Fastify has both methods.
      const reply = graphqlReplyOf(context) as Partial<Reply & { headersSent: boolean }> | undefined;
      if (reply?.header && reply.getHeader && reply.headersSent !== true) {
        forbidCaching(reply as Reply);
      }
    }
    const inbound = inboundRequestOf(context);
    const open = (resolved: readonly ResolvedIdentity[]): Observable<unknown> => {
      const reauthorization = invocations.reauthorizationOf(invocation, context, resolved, this.#moduleRef);
      const scopes = new HandlerScopes(resolved, inbound, reauthorization);
      invocation.opened(scopes);
      return handleInside(scopes, next, reauthorization);
    };
    const resolution = invocations.identitiesOf(invocation, context, this.#moduleRef);
    return resolution instanceof Promise ? resolution.then(open) : open(resolution);
  }
}

/** Runs the handler inside the scopes, and whatever is lazy in its result too. */
function handleInside(
  scopes: HandlerScopes,
  next: CallHandler,
  reauthorization: Reauthorization | undefined,
): Observable<unknown> {
  return new Observable((subscriber) => {
    scopes.hold();
    subscriber.add(() => scopes.release());
    subscriber.add(reauthorization?.onRefusal((error) => subscriber.error(error)));
    scopes.enter(() =>
      next
        .handle()
        .pipe(
          map((value: unknown) => {
            const kept = keepScopeOfAnswer(value, scopes);
            return reauthorization && isAsyncIterator(kept) ? untilRefused(kept, reauthorization) : kept;
          }),
        )
        .subscribe(subscriber),
    );
  });
}

/** What a GraphQL subscription returns. Streams can be iterated too, but those who get them use them as streams. */
function isAsyncIterator(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.asyncIterator in value &&
    !(value instanceof Stream || value instanceof ReadableStream)
  );
}

/** A cache would serve the response of one user to others, since its key is the URL. A header of the handler wins. */
function forbidCaching(reply: Reply): void {
  if (reply.getHeader('cache-control') === undefined) {
    reply.header('cache-control', 'private, no-store');
  }
}

function keepScopeOfAnswer(value: unknown, scopes: HandlerScopes): unknown {
  scopes.hold();
  if (value instanceof StreamableFile) {
    keepScope(value.getStream(), scopes);
    return value;
  }
  return keepScope(value, scopes);
}
