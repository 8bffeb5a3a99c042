import { RequestMethod, type Type } from '@nestjs/common';
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { dirname } from 'node:path';

/** Where Nest's routing decorators keep path and method. */
const PATH = 'path';
const METHOD = 'method';

/** `METHOD /route/:parameter`, as the router knows it: without the values of this request. */
export function routeOf(request: { readonly method: string }): string {
  // Not `baseUrl` of Express: where the app is mounted below a parameter, that is its value.
  const { route, routeOptions } = request as { route?: { path?: unknown }; routeOptions?: { url?: unknown } };
  const path = typeof route?.path === 'string' ? route.path : routeOptions?.url;
  return `${request.method} ${typeof path === 'string' ? path : '(unknown route)'}`;
}

interface Handler {
  /** `Controller.method`. */
  readonly name: string;
  readonly verb: string | undefined;
  /** What its route ends with, e.g. `/patients/:id`. */
  readonly path: string;
}

function pathsOf(target: object): string[] {
  const paths = (Reflect.getMetadata(PATH, target) as string | string[] | undefined) ?? [];
  return [paths].flat().map((path) => path.replace(/^\/+|\/+$/g, ''));
}

function handlersOf(controller: Type): Handler[] {
  const prototype = controller.prototype as Record<string, unknown>;
  return new MetadataScanner().getAllMethodNames(prototype).flatMap((key) => {
    const method = prototype[key] as object;
    const verb = RequestMethod[Reflect.getMetadata(METHOD, method) as RequestMethod];
    return pathsOf(controller).flatMap((first) =>
      pathsOf(method).map((second) => ({
        name: `${controller.name}.${key}`,
        verb,
        path: [first, second].map((part) => (part === '' ? '' : `/${part}`)).join(''),
      })),
    );
  });
}

/**
 * Which handler serves a route, `Controller.method`: Nest does not tell an exception filter. A prefix or version stands
 * before the path that the decorators name, so the longest path that the route ends with is the one.
 *
 * @param route as {@link routeOf} writes it.
 */
export function handlerOf(route: string, modules: ModulesContainer): string | undefined {
  const [verb, path = ''] = route.replace(/\/+$/, '').split(' ');
  const controllers = [...modules.values()].flatMap((module) => [...module.controllers.values()]);
  return controllers
    .flatMap(({ metatype }) => (metatype ? handlersOf(metatype as Type) : []))
    .filter((handler) => [verb, 'ALL'].includes(handler.verb) && path.endsWith(handler.path))
    .toSorted((a, b) => b.path.length - a.path.length)[0]?.name;
}

/** `    at async Type.method [as name] (file:line:column)`. */
const FRAME = /^\s+at (?:async )?([\w$]+)\.([\w$<>]+)(?: \[as ([\w$]+)\])? \((.*)\)$/;
/** Where this library lies, as stack traces name it: with `--enable-source-maps` that is not `__dirname`. */
const LIBRARY = dirname(/\((.+):\d+:\d+\)$/m.exec(new Error().stack ?? '')?.[1] ?? __filename);

/** Which method of the app made the call. */
export function callSite(error: Error): string | undefined {
  for (const line of (error.stack ?? '').split('\n')) {
    const [, type, method, alias = method, file = ''] = FRAME.exec(line) ?? [];
    const foreign = file.startsWith(LIBRARY) || file.startsWith('node:') || file.includes('node_modules');
    if (type !== undefined && !foreign) {
      return `${type}.${alias}`;
    }
  }
  return undefined;
}
