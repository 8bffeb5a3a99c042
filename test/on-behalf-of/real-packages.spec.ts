import { Processor, WorkerHost, OnWorkerEvent } from '@nestjs/bullmq';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Injectable, Logger, type Type } from '@nestjs/common';
import { CommandHandler, CqrsModule, EventsHandler, type ICommandHandler } from '@nestjs/cqrs';
import { EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { GraphQLModule, Mutation, Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import { Cron, Interval, ScheduleModule, Timeout } from '@nestjs/schedule';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { MedplumRouteReport, OnBehalfOf, RunOnBehalfOf, WithoutMedplum } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let app: MedplumApp | undefined;

beforeEach(() => {
  jest.spyOn(Logger.prototype, 'warn').mockImplementation();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await app?.close();
  app = undefined;
});

const start = async (providers: Type[]) => {
  const imports = [ScheduleModule.forRoot(), EventEmitterModule.forRoot(), CqrsModule.forRoot()];
  app = await startMedplumApp({}, { providers, imports });
};

class Command {}
class Happened {}

describe('@OnBehalfOf() where the packages of Nest run no guards and interceptors', () => {
  @Injectable()
  class ByCron {
    @Cron('0 0 1 1 *')
    @OnBehalfOf('Practitioner/a')
    run() {}
  }
  @Injectable()
  class ByInterval {
    @Interval(1e9)
    @OnBehalfOf('Practitioner/a')
    run() {}
  }
  @Injectable()
  class ByTimeout {
    @OnBehalfOf('Practitioner/a')
    @Timeout(1e9)
    run() {}
  }
  @Injectable()
  class ByEvent {
    @OnEvent('created')
    @OnBehalfOf('Practitioner/a')
    run() {}
  }
  @WebSocketGateway()
  class ByConnection {
    @OnBehalfOf('Practitioner/a')
    handleConnection() {}

    @SubscribeMessage('say')
    say() {}
  }
  @CommandHandler(Command)
  class ByCommand implements ICommandHandler<Command> {
    @OnBehalfOf('Practitioner/a')
    async execute() {}
  }
  @EventsHandler(Happened)
  @OnBehalfOf('Practitioner/a')
  class ByCqrsEvent {
    handle() {}
  }
  @Processor('queue')
  class ByQueue extends WorkerHost {
    @OnBehalfOf('Practitioner/a')
    async process() {}
  }
  @Processor('queue')
  @OnBehalfOf('Practitioner/a')
  class ByQueueClass extends WorkerHost {
    async process() {}

    @OnWorkerEvent('completed')
    completed() {}
  }

  it.each<readonly [string, Type]>([
    ['ByCron.run', ByCron],
    ['ByInterval.run', ByInterval],
    ['ByTimeout.run', ByTimeout],
    ['ByEvent.run', ByEvent],
    ['ByConnection.handleConnection', ByConnection],
    ['ByCommand.execute', ByCommand],
    ['ByCqrsEvent', ByCqrsEvent],
    ['ByQueue.process', ByQueue],
    ['ByQueueClass', ByQueueClass],
  ])('stops the app, and names %s', async (place, type) => {
    const message = await start([type]).then(String, (error: Error) => error.message);
    expect(message).toContain(`- ${place}: Nest runs guards and interceptors only for`);
    expect(message).toContain('@RunOnBehalfOf()');
  });
});

it('The route report reads the decorators of the packages of Nest', async () => {
  @Resolver('Chart')
  @OnBehalfOf('Practitioner/a')
  class Charts {
    @Query('chart')
    readChart() {
      return { id: '1' };
    }

    @Mutation()
    @WithoutMedplum()
    signChart() {
      return true;
    }

    @Subscription()
    chartSigned() {}

    @ResolveField('notes')
    readNotes() {
      return [];
    }
  }
  @Injectable()
  class Jobs {
    @Cron('0 0 1 1 *')
    @RunOnBehalfOf(() => 'Practitioner/a')
    run() {}

    @OnEvent('created')
    silent() {}
  }
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    typeDefs:
      'type Chart { id: ID, notes: [String] } type Query { chart: Chart } type Mutation { signChart: Boolean } type Subscription { chartSigned: Chart }',
  });
  app = await startMedplumApp({}, { providers: [Charts, Jobs], imports: [graphql, EventEmitterModule.forRoot()] });
  const { routes } = app.module.get(MedplumRouteReport);
  expect(
    routes.map((one) => [one.kind, one.address, one.handler, one.identities[0]?.decorator, one.undecided]),
  ).toEqual([
    ['graphql', 'Query chart', 'readChart', 'OnBehalfOf', false],
    ['graphql', 'Mutation signChart', 'signChart', undefined, false],
    ['graphql', 'Subscription chartSigned', 'chartSigned', 'OnBehalfOf', false],
    ['graphql', 'Chart.notes', 'readNotes', undefined, false],
    ['method', '', 'run', 'RunOnBehalfOf', false],
  ]);
});
