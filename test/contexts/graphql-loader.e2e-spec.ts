import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { type INestApplication, Injectable, Scope } from '@nestjs/common';
import { Field, GraphQLModule, ID, Int, ObjectType, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import { Test } from '@nestjs/testing';
import DataLoader from 'dataloader';
import {
  batchByIdentity,
  type IdentityKey,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
  type ResourceOf,
} from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { seededRandom } from '../support/seeded-random';
import { WireServer } from '../support/wire-server';

const RELATIVES = 12;
const MEMBERS = 4;

@ObjectType()
class Chart {
  @Field(() => ID)
  id = '';

  /** The server writes into it whom it read the chart for. */
  @Field(() => String)
  language = '';
}

@ObjectType()
class Relative {
  @Field(() => Int)
  number = 0;

  @Field(() => Chart)
  chart?: Chart;
}

interface ChartKey extends IdentityKey {
  readonly id: string;
}

@Injectable({ scope: Scope.REQUEST })
class ChartLoader {
  readonly #loader: DataLoader<ChartKey, ResourceOf<'Patient'> | undefined, string>;

  constructor(private readonly medplum: MedplumService) {
    this.#loader = new DataLoader(
      (keys: readonly ChartKey[]) =>
        batchByIdentity(keys, async (own, onBehalfOf) => {
          const found = await medplum.searchResources('Patient', { _id: own.map(({ id }) => id) }, { onBehalfOf });
          return own.map(({ id }) => found.find((patient) => patient.id === id));
        }),
      { cacheKeyFn: ({ as, id }) => `${as} ${id}` },
    );
  }

  load(id: string) {
    return this.#loader.load({ as: this.medplum.currentOnBehalfOf, id });
  }
}

@Resolver(() => Relative)
class RelativesResolver {
  constructor(private readonly charts: ChartLoader) {}

  @Query(() => [Relative])
  relatives(): Relative[] {
    return Array.from({ length: RELATIVES }, (_, number) => ({ number }));
  }

  @ResolveField(() => Chart)
  @OnBehalfOf((context) => `ProjectMembership/${context.getArgByIndex<Relative>(0).number % MEMBERS}`)
  chart(@Parent() { number }: Relative) {
    return this.charts.load(`p${number}`);
  }
}

describe('One loader for the fields of different members', () => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    const random = seededRandom();
    wire = await WireServer.start(({ path, onBehalfOf }) => ({
      delay: random() * 5,
      body: {
        resourceType: 'Bundle',
        type: 'searchset',
        entry: (new URL(path, 'http://localhost').searchParams.get('_id') ?? '')
          .split(',')
          .map((id) => ({ resource: { resourceType: 'Patient', id, language: onBehalfOf } })),
      },
    }));
    const module = await Test.createTestingModule({
      imports: [
        MedplumModule.forRoot(wire.options()),
        GraphQLModule.forRoot<ApolloDriverConfig>({
          driver: ApolloDriver,
          autoSchemaFile: true,
          fieldResolverEnhancers: ['guards', 'interceptors'],
        }),
      ],
      providers: [RelativesResolver, ChartLoader],
    }).compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    url = `${await app.getUrl()}/graphql`;
  });

  afterAll(() => closeAll(app, wire));

  const ask = async (): Promise<unknown> => {
    const body = JSON.stringify({ query: '{ relatives { number chart { id language } } }' });
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return ((await response.json()) as { data: { relatives: unknown } }).data.relatives;
  };

  it('reads once for each member, and gives each field what its member may see', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    const expected = Array.from({ length: RELATIVES }, (_, number) => ({
      number,
      chart: { id: `p${number}`, language: `ProjectMembership/${number % MEMBERS}` },
    }));
    expect(answers).toEqual(answers.map(() => expected));
    expect(wire.requests).toHaveLength(20 * MEMBERS);
  });
});
