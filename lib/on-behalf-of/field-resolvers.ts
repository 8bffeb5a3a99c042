import type { Module } from '@nestjs/core/injector/module';

/** The token under which `@nestjs/graphql` keeps the options of its module. */
const GRAPHQL_OPTIONS = 'GqlModuleOptions';

/** The options of `GraphQLModule` that decide about guards and interceptors of field resolvers. */
interface GraphqlOptions {
  readonly fieldResolverEnhancers?: readonly string[];
  /** The modules whose resolvers it takes. Absent or empty: all of them. */
  readonly include?: readonly unknown[];
}

/**
 * Whether a `GraphQLModule` runs the field resolvers of this module without guards or without interceptors, which is
 * its default.
 */
export function areFieldsBare(module: Module, modules: Iterable<Module>): boolean {
  for (const { providers } of modules) {
    const provider = providers.get(GRAPHQL_OPTIONS);
    // The options of an app that was not started may not be known. Then the default counts.
    const { include = [], fieldResolverEnhancers = [] } = (provider?.instance as GraphqlOptions | null) ?? {};
    if (provider && (include.length === 0 || include.includes(module.metatype))) {
      if (!['guards', 'interceptors'].every((name) => fieldResolverEnhancers.includes(name))) {
        return true;
      }
    }
  }
  return false;
}
