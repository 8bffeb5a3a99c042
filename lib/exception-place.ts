import { dirname } from 'node:path';

/** `METHOD /route/:parameter`, as the router knows it: without the values of this request. */
export function routeOf(request: { readonly method: string }): string {
  const { route, baseUrl, routeOptions } = request as {
    route?: { path?: unknown };
    baseUrl?: unknown;
    routeOptions?: { url?: unknown };
  };
  const path =
    typeof route?.path === 'string' ? `${typeof baseUrl === 'string' ? baseUrl : ''}${route.path}` : routeOptions?.url;
  return `${request.method} ${typeof path === 'string' ? path : '(unknown route)'}`;
}

/** `    at async Type.method [as name] (file:line:column)`. */
const FRAME = /^\s+at (?:async )?([\w$]+)\.([\w$<>]+)(?: \[as ([\w$]+)\])? \((.*)\)$/;
const LIBRARY = dirname(__filename);

/**
 * Which handler, else which other method of the app, made the call: Nest does not tell an exception filter.
 *
 * @param controllers names of the classes whose methods are handlers.
 */
export function callSite(error: Error, controllers: ReadonlySet<string>): string | undefined {
  const frames = (error.stack ?? '').split('\n').flatMap((line) => {
    const [, type, method, alias = method, file = ''] = FRAME.exec(line) ?? [];
    const foreign = file.startsWith(LIBRARY) || file.startsWith('node:') || file.includes('node_modules');
    return type === undefined || foreign ? [] : [{ type, name: `${type}.${alias}` }];
  });
  return (frames.find(({ type }) => controllers.has(type)) ?? frames[0])?.name;
}
