import { RequestMethod } from '@nestjs/common';
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { dirname } from 'node:path';

/** Where Nest's routing decorators keep path and method. */
const PATH = 'path';
const METHOD = 'method';

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

function* pathsOf(target: object): Iterable<string> {
  const paths = (Reflect.getMetadata(PATH, target) as string | string[] | undefined) ?? [];
  for (const path of [paths].flat()) {
    yield path.replace(/^\/+|\/+$/g, '');
  }
}

/**
 * Which handler serves a route, `Controller.method`: Nest does not tell an exception filter. A prefix or version stands
 * before the path that the decorators name, so the longest path that the route ends with is the one.
 *
 * @param route as {@link routeOf} writes it.
 */
export function handlerOf(route: string, modules: ModulesContainer): string | undefined {
  const [verb = '', path = ''] = route.replace(/\/+$/, '').split(' ');
  const scanner = new MetadataScanner();
  let found: { readonly length: number; readonly name: string } | undefined;
  for (const { controllers } of modules.values()) {
    for (const { metatype } of controllers.values()) {
      const prototype = (metatype as { prototype?: object } | null)?.prototype;
      for (const key of prototype ? scanner.getAllMethodNames(prototype) : []) {
        const method: unknown = Reflect.get(prototype ?? {}, key);
        if (typeof method !== 'function' || !metatype) {
          continue;
        }
        const methodVerb = RequestMethod[Reflect.getMetadata(METHOD, method) as RequestMethod];
        for (const first of methodVerb === verb || methodVerb === 'ALL' ? pathsOf(metatype) : []) {
          for (const second of pathsOf(method)) {
            const end = [first, second]
              .filter((part) => part !== '')
              .map((part) => `/${part}`)
              .join('');
            if (path.endsWith(end) && end.length >= (found?.length ?? 0)) {
              found = { length: end.length, name: `${metatype.name}.${key}` };
            }
          }
        }
      }
    }
  }
  return found?.name;
}

/** `    at async Type.method [as name] (file:line:column)`. */
const FRAME = /^\s+at (?:async )?([\w$]+)\.([\w$<>]+)(?: \[as ([\w$]+)\])? \((.*)\)$/;
const LIBRARY = dirname(__filename);

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
