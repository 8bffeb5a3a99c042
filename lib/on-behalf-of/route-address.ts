import { RequestMethod } from '@nestjs/common';
import type { Host, HostMethod } from './handlers';

/** What calls a handler. `method`: code that Nest runs without guards and interceptors, such as a cron job or a queue. */
export type MedplumRouteKind = 'http' | 'graphql' | 'websocket' | 'rpc' | 'method';

/** How a handler is reached. */
export interface RouteAddress {
  readonly kind: MedplumRouteKind;
  readonly address: string;
}

/** How a method of a class is reached, as its decorators say. Empty: Nest does not run it as a handler. */
export function addressesOf(host: Host, { name, method, kind }: HostMethod): readonly RouteAddress[] {
  if (kind !== 'handler' && kind !== 'field') {
    return [];
  }
  const read = (key: string): unknown => Reflect.getMetadata(key, method);
  const found: RouteAddress[] = [];
  const isController = host.controller !== undefined;
  const add = (kindOfRoute: MedplumRouteKind, address: string) => void found.push({ kind: kindOfRoute, address });
  if (isController && read('path') !== undefined) {
    add('http', httpAddress(Reflect.getMetadata('path', host.type), read('path'), read('method')));
  }
  if (isController && read('microservices:handler_type') !== undefined) {
    add('rpc', [read('microservices:pattern')].flat().map(shown).join(', '));
  }
  if (read('websockets:message_mapping') !== undefined && Reflect.hasMetadata('websockets:is_gateway', host.type)) {
    add('websocket', shown(read('message')));
  }
  const rootType = read('graphql:resolver_type');
  const graphqlName = shown(read('graphql:resolver_name') ?? name);
  if (kind === 'field') {
    const parent: unknown = Reflect.getMetadata('graphql:resolver_name', host.type);
    add('graphql', typeof parent === 'string' ? `${parent}.${graphqlName}` : graphqlName);
  } else if (rootType !== undefined) {
    add('graphql', `${shown(rootType)} ${graphqlName}`);
  }
  return found;
}

function httpAddress(ofController: unknown, ofMethod: unknown, method: unknown): string {
  const verb = RequestMethod[(method as RequestMethod | undefined) ?? RequestMethod.GET];
  const paths = pathsOf(ofController).flatMap((front) => pathsOf(ofMethod).map((back) => [...front, ...back]));
  return paths.map((parts) => `${verb} /${parts.join('/')}`).join(', ');
}

/** Each path as its parts, without empty ones. */
function pathsOf(given: unknown): readonly (readonly string[])[] {
  return [given].flat().map((path) => (typeof path === 'string' ? path.split('/').filter((part) => part !== '') : []));
}

function shown(pattern: unknown): string {
  return typeof pattern === 'string' ? pattern : (JSON.stringify(pattern) ?? String(pattern));
}
