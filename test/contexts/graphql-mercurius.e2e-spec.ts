import { GraphQLModule } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type GraphqlDriver, testGraphql } from './graphql';

const driver: GraphqlDriver = {
  graphqlModule: (options) =>
    GraphQLModule.forRoot<MercuriusDriverConfig>({
      ...options,
      driver: MercuriusDriver,
      subscription: { fullWsTransport: true, context: (_socket, request) => ({ req: request }) },
    }),
  createApp: (module) => module.createNestApplication(new FastifyAdapter()),
  extensions: (status, code) => ({ code, http: { status } }),
  cacheControl: 'private, no-store',
  retryAfter: (_response, extensions) =>
    (extensions as { http?: { headers?: Record<string, string> } }).http?.headers?.['retry-after'],
};

describe('GraphQL with Mercurius on Fastify', () => {
  testGraphql(driver);
});
