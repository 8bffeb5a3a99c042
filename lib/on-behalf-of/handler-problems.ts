/** What is wrong with a handler, and how to mend it. Each follows the name of the method. */
export const LOST =
  'another decorator replaced it and lost its metadata, so neither the guard nor the interceptor of the library would run. Put that decorator below @OnBehalfOf() and @AsClientApplication(), or make it copy the metadata.';
export const OVERRIDDEN =
  'it overrides a method with @OnBehalfOf(), but Nest does not inherit guards and interceptors of methods. Decorate it as well.';
export const BARE_FIELDS =
  "GraphQL runs field resolvers without guards and interceptors. Set fieldResolverEnhancers: ['guards', 'interceptors'] in the options of GraphQLModule, or decorate the method with @RunOnBehalfOf().";
export const NO_HANDLER =
  'Nest runs guards and interceptors only for HTTP, GraphQL, WebSocket and microservice handlers, and this is none, so @OnBehalfOf() and @AsClientApplication() would do nothing. Use @RunOnBehalfOf() or @RunAsClientApplication() on the method. If it is a handler, another decorator replaced it and lost its metadata: put that one below.';

export const CONTRADICTION =
  '@WithoutMedplum() says that it does not use Medplum, and @OnBehalfOf() or @AsClientApplication() says how it does. Remove one of them.';
export const CACHED =
  'CacheInterceptor keeps its response under a key that all users share (the URL, or a fixed @CacheKey()), and @OnBehalfOf() makes the response depend on the user. ' +
  'Leave the interceptor out here, or use a subclass whose trackBy() puts the user into the key: ' +
  "trackBy(context) { const key = super.trackBy(context); const { membership } = context.switchToHttp().getRequest().user ?? {}; return key && membership ? membership + ' ' + key : undefined; }";
export const DECIDE =
  'Decorate each of them, or its class: @OnBehalfOf() if it calls Medplum for a user, @AsClientApplication() if it needs the rights of the client, @WithoutMedplum() if it makes no calls. ' +
  "If you cannot decorate it, exclude it: routes: { mode: 'enforce', exclude: [HealthController, 'MetricsController.index'] }.";
