import 'reflect-metadata';

/** Metadata by which Nest finds the methods that it runs with guards and interceptors. */
const HANDLER = new Set<unknown>(['path', 'microservices:handler_type', 'websockets:message_mapping']);
const GRAPHQL = /^graphql:/;

/** Where `@Query()`, `@Mutation()` and `@Subscription()` keep their kind. Other methods of a resolver resolve a field. */
const RESOLVER_TYPE = 'graphql:resolver_type';
const ROOT_TYPES = new Set<unknown>(['Query', 'Mutation', 'Subscription']);

/** Metadata of methods that Nest's own packages run without them: event listeners, cron jobs, queues. */
const PLAIN = /^(EVENT_LISTENER|SCHEDULE|bull)/;

/** Metadata that says nothing about who runs a method: that of TypeScript, of enhancers, of responses, of Swagger. */
const NEUTRAL = /^(design:|__\w+__$|swagger\/|nestjs-medplum:)/;

/**
 * What runs a method, as far as its metadata tells: Nest with guards and interceptors, Nest for a field of a GraphQL
 * type, where the options of the module decide, something without them, or another library, which may or may not bring
 * them.
 */
export type HandlerKind = 'handler' | 'field' | 'plain' | 'unknown';

export function handlerKind(method: Function): HandlerKind {
  const keys = Reflect.getMetadataKeys(method) as unknown[];
  const texts = keys.map((key) => (typeof key === 'symbol' ? (key.description ?? '') : String(key)));
  if (keys.some((key) => HANDLER.has(key))) {
    return 'handler';
  }
  if (texts.some((text) => GRAPHQL.test(text))) {
    return ROOT_TYPES.has(Reflect.getMetadata(RESOLVER_TYPE, method)) ? 'handler' : 'field';
  }
  return texts.every((text) => NEUTRAL.test(text)) || texts.some((text) => PLAIN.test(text)) ? 'plain' : 'unknown';
}
