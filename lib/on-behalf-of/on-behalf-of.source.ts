import type { ExecutionContext, Type } from '@nestjs/common';
import type { OnBehalfOfInput, OnBehalfOfReference } from './on-behalf-of.reference';

/** What a source may return: the identity to act as, or `undefined` for nobody, which refuses the request. */
export type OnBehalfOfAnswer = OnBehalfOfInput | undefined | Promise<OnBehalfOfInput | undefined>;

/** A provider that finds the identity of a request. It may be request-scoped. */
export interface OnBehalfOfResolver {
  /**
   * Called once per invocation of a handler, after all guards.
   *
   * @param client the name of the client that acts (`default` for the unnamed one).
   */
  resolve(context: ExecutionContext, client: string): OnBehalfOfAnswer;
}

/**
 * Where an identity comes from: a full reference (never a path into the request), a function of the execution context,
 * or a resolver class. A function counts as a class if its prototype has a `resolve` method.
 */
export type OnBehalfOfSource =
  OnBehalfOfReference | ((context: ExecutionContext) => OnBehalfOfAnswer) | Type<OnBehalfOfResolver>;

/** Whether a source is a resolver class. */
export function isResolverClass(source: OnBehalfOfSource): source is Type<OnBehalfOfResolver> {
  return (
    typeof source === 'function' &&
    typeof (source.prototype as Partial<OnBehalfOfResolver> | undefined)?.resolve === 'function'
  );
}

/** The object that carries `user`: the HTTP request, that of a GraphQL context, or the client object of a WebSocket. */
export function requestOf(context: ExecutionContext): { readonly user?: unknown } | undefined {
  switch (context.getType<string>()) {
    case 'http':
      return context.switchToHttp().getRequest();
    case 'graphql':
      return context.getArgByIndex<{ req?: object; request?: object } | undefined>(2)?.req;
    case 'ws':
      return context.switchToWs().getClient();
    default:
      return undefined;
  }
}

/**
 * A source that reads the identity from `request.user`, where the app's authentication guard has put it.
 *
 * There is deliberately no such helper for headers, parameters or bodies, because the client of the app writes those.
 *
 * @param property an own property of `request.user`, such as `membership`.
 * @example
 * ```ts
 * @OnBehalfOf(fromUser('membership'))
 * ```
 */
export function fromUser(property: string): (context: ExecutionContext) => OnBehalfOfInput | undefined {
  const source = (context: ExecutionContext): OnBehalfOfInput | undefined => {
    const user = requestOf(context)?.user;
    return typeof user === 'object' && user !== null && Object.hasOwn(user, property)
      ? (user as Record<string, OnBehalfOfInput | undefined>)[property]
      : undefined;
  };
  // The name under which the route report shows it.
  return Object.defineProperty(source, 'name', { value: `fromUser('${property}')` });
}
