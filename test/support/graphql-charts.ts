import { type CanActivate, type ExecutionContext, Injectable, UseGuards } from '@nestjs/common';
import { Args, Parent, Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import { fromUser, OnBehalfOf, RunOnBehalfOf } from 'nestjs-medplum';
import { Charts, ownerOf } from './crowd';

export const TYPE_DEFS = `
  type Chart { id: ID! who: String mine: String office: String family: String bare: String }
  type Query { chart(id: ID!): Chart office(id: ID!): Chart child(id: ID!): Chart undecorated(id: ID!): Chart }
  type Subscription { visits(id: ID!): String }
`;

/** Two root fields that run at the same time, each with fields of three identities. */
export const DOCUMENT = `query ($id: ID!) {
  chart(id: $id) { who office family }
  office(id: $id) { who mine }
}`;

interface Chart {
  readonly id: string;
  readonly who?: string | undefined;
}

/** Logs in the user in the header `x-test-user`, asynchronously. */
@Injectable()
export class GraphqlUserGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const { req } = context.getArgByIndex<{ req: { headers: Record<string, string>; user?: object } }>(2);
    const membership = req.headers['x-test-user'];
    if (membership !== undefined) {
      req.user = membership === 'without-membership' ? {} : { membership };
    }
    return true;
  }
}

/** The key of what the front office does for this chart. */
const officeKey = (id: string): string => `office.${id.replace('.', '-')}`;
/** Who a field acts as that names its identity by its arguments. */
const familyOf = (id: string): string => `${ownerOf(id)}family`;

@Resolver('Chart')
@UseGuards(GraphqlUserGuard)
@OnBehalfOf(fromUser('membership'))
export class ChartResolver {
  constructor(private readonly charts: Charts) {}

  @Query('chart')
  async chart(@Args('id') id: string): Promise<Chart> {
    return { id, who: await this.charts.visit(id) };
  }

  @Query('office')
  @OnBehalfOf('ProjectMembership/office')
  async officeChart(@Args('id') id: string): Promise<Chart> {
    return { id, who: await this.charts.read(officeKey(id)) };
  }

  @ResolveField('mine')
  mine(@Parent() { id }: Chart): Promise<string | undefined> {
    return this.charts.read(`${id}-mine`);
  }

  @ResolveField('office')
  @OnBehalfOf('ProjectMembership/office')
  office(@Parent() { id }: Chart): Promise<string | undefined> {
    return this.charts.read(`${officeKey(id)}-field`);
  }

  /** Each event is read when the client asks for it, long after the subscription has begun. */
  @Subscription('visits')
  async *visits(@Args('id') id: string): AsyncGenerator<{ visits: string | undefined }> {
    for (const part of ['first', 'second', 'third']) {
      yield { visits: await this.charts.read(`${id}-${part}`) };
    }
  }
}

/** Fields that need no guards and interceptors, or that lack them. */
@Resolver('Chart')
export class FamilyResolver {
  constructor(private readonly charts: Charts) {}

  @ResolveField('family')
  @RunOnBehalfOf(({ id }: Chart) => `ProjectMembership/${familyOf(id)}`)
  async family(@Parent() { id }: Chart): Promise<string | undefined> {
    return this.charts.read(`${familyOf(id)}.field`);
  }

  @Query('child')
  child(@Args('id') id: string): Chart {
    return { id };
  }

  @Query('undecorated')
  undecorated(@Args('id') id: string): Promise<string | undefined> {
    return this.charts.read(id);
  }
}
