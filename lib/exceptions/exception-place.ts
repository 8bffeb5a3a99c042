import { dirname } from 'node:path';

/** The route of the request and, if the stack shows it, the method of the app that made the call. */
export function placeOf(error: Error, request: { readonly method: string }): string {
  const site = callSite(error);
  return site === undefined ? routeOf(request) : `${routeOf(request)}, called by ${site}`;
}

/** `METHOD /route/:parameter` as the router knows it, without the values of this request. */
function routeOf(request: { readonly method: string }): string {
  // Not Express's `baseUrl`: it holds a value when the app is mounted below a parameter.
  const { route, routeOptions } = request as { route?: { path?: unknown }; routeOptions?: { url?: unknown } };
  const path = typeof route?.path === 'string' ? route.path : routeOptions?.url;
  return `${request.method} ${typeof path === 'string' ? path : '(unknown route)'}`;
}

/** `    at async Type.method [as name] (file:line:column)`. */
const FRAME = /^\s+at (?:async )?([\w$]+)\.([\w$<>]+)(?: \[as ([\w$]+)\])? \((.*)\)$/;
/** The folder of this library as stack traces name it. With `--enable-source-maps` it differs from `__dirname`. */
const LIBRARY = dirname(dirname(/\((.+):\d+:\d+\)$/m.exec(new Error().stack ?? '')?.[1] ?? __filename));

/** The method of the app that made the call: `Service.method`. */
function callSite(error: Error): string | undefined {
  for (const line of (error.stack ?? '').split('\n')) {
    const [, type, method, alias = method, file = ''] = FRAME.exec(line) ?? [];
    const foreign = file.startsWith(LIBRARY) || file.startsWith('node:') || file.includes('node_modules');
    if (type !== undefined && !foreign) {
      return `${type}.${alias}`;
    }
  }
  return undefined;
}
