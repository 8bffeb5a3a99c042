import type { DynamicModule } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';
import { ExpressAdapter } from '@nestjs/platform-express';
import { captureLog } from '../support/captured-log';
import { ask, type GraphqlDriver, type GraphqlOptions, startGraphqlApp, testGraphql } from './graphql';

const apollo = (options: GraphqlOptions, more: Partial<ApolloDriverConfig> = {}): DynamicModule =>
  GraphQLModule.forRoot<ApolloDriverConfig>({
    ...options,
    ...more,
    driver: ApolloDriver,
    csrfPrevention: false,
    subscriptions: { 'graphql-ws': true },
    context: ({ req, extra }: { req?: object; extra?: { request: object } }) => ({ req: req ?? extra?.request }),
  });

const driver: GraphqlDriver = {
  graphqlModule: (options) => apollo(options),
  createApp: (module) => module.createNestApplication(new ExpressAdapter()),
  extensions: (_status, code) => ({ code }),
  cacheControl: 'no-store',
  retryAfter: (response) => response.headers.get('retry-after'),
};

describe('GraphQL with Apollo on Express', () => {
  testGraphql(driver);

  it('gives the response the status of the error, if Nest lets it', async () => {
    const log = captureLog();
    const crowd = await startGraphqlApp({
      ...driver,
      graphqlModule: (options) => apollo(options, { preserveHttpStatusForExecutionErrors: false }),
    });
    try {
      const statusFor = async (id: string, user?: string): Promise<number> => {
        const query = `{ chart(id: "${id}") { who } }`;
        const { response } = await ask(crowd.app, query, user === undefined ? {} : { user });
        return response.status;
      };
      expect([
        await statusFor('user1.3', 'user1'),
        await statusFor('user1.0'),
        await statusFor('user1.0', 'user1'),
      ]).toEqual([404, 401, 200]);
    } finally {
      log.restore();
      await crowd.close();
    }
  });
});
