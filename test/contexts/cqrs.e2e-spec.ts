import { Injectable } from '@nestjs/common';
import {
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventBus,
  EventsHandler,
  type ICommand,
  type ICommandHandler,
  type IEvent,
  type IEventHandler,
  type IQueryHandler,
  ofType,
  QueryBus,
  QueryHandler,
  Saga,
  UnhandledExceptionBus,
} from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { delay, filter, firstValueFrom, map, type Observable, Subject } from 'rxjs';
import {
  MedplumService,
  OnBehalfOf,
  OnBehalfOfReferenceError,
  OnBehalfOfRequiredError,
  RunOnBehalfOf,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, mixUpsOf, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';

class VisitMessage implements Visit {
  constructor(
    readonly membership: string,
    readonly key: string,
  ) {}
}
class VisitCommand extends VisitMessage {}
class BareCommand extends VisitMessage {}
class VisitQuery extends VisitMessage {}
class VisitedEvent extends VisitMessage {}
class BareEvent extends VisitMessage {}
class ReferredEvent extends VisitMessage {}

const membershipOf = ({ membership }: Visit) => membership;

@CommandHandler(VisitCommand)
class VisitHandler implements ICommandHandler<VisitCommand> {
  constructor(private readonly charts: Charts) {}

  @RunOnBehalfOf(membershipOf)
  execute({ key }: VisitCommand): Promise<string | undefined> {
    return this.charts.visit(key);
  }
}

@CommandHandler(BareCommand)
class BareHandler implements ICommandHandler<BareCommand> {
  constructor(private readonly charts: Charts) {}

  execute({ key }: BareCommand): Promise<string | undefined> {
    return key.endsWith('refused') ? this.charts.read(key) : this.charts.visit(key);
  }
}

@QueryHandler(VisitQuery)
class VisitQueryHandler implements IQueryHandler<VisitQuery> {
  constructor(private readonly charts: Charts) {}

  @RunOnBehalfOf(membershipOf)
  execute({ key }: VisitQuery): Promise<string | undefined> {
    return this.charts.visit(key);
  }
}

@EventsHandler(VisitedEvent)
class VisitedHandler implements IEventHandler<VisitedEvent> {
  readonly seen = new Subject<string | undefined>();

  constructor(private readonly charts: Charts) {}

  @RunOnBehalfOf(membershipOf)
  async handle({ key }: VisitedEvent): Promise<void> {
    this.seen.next(await this.charts.visit(key));
  }
}

@EventsHandler(BareEvent)
class BareEventHandler implements IEventHandler<BareEvent> {
  readonly seen = new Subject<string | undefined>();

  constructor(private readonly charts: Charts) {}

  async handle({ key }: BareEvent): Promise<void> {
    this.seen.next(await this.charts.read(key));
  }
}

@Injectable()
class Referrals {
  /** The command is executed later, when the scope of whoever published the event has long ended. */
  @Saga()
  referred = (events: Observable<IEvent>): Observable<ICommand> =>
    events.pipe(
      ofType(ReferredEvent),
      delay(1),
      map(({ membership, key }) => new VisitCommand(membership, key)),
    );
}

@CommandHandler(VisitCommand)
class WrongHandler implements ICommandHandler<VisitCommand> {
  @OnBehalfOf('ProjectMembership/office')
  execute(): Promise<void> {
    return Promise.resolve();
  }
}

const start = (...providers: (new (...args: never[]) => unknown)[]) =>
  startCrowdApp({ imports: [CqrsModule.forRoot()], providers }, (module) => module.init());

describe('Handlers of @nestjs/cqrs', () => {
  let crowd: CrowdApp<TestingModule>;
  let log: CapturedLog;
  let medplum: MedplumService;

  beforeAll(async () => {
    crowd = await start(VisitHandler, BareHandler, VisitQueryHandler, VisitedHandler, BareEventHandler, Referrals);
    medplum = crowd.app.get(MedplumService);
  });

  afterAll(async () => {
    await crowd?.close();
  });

  beforeEach(() => {
    log = captureLog();
    crowd.wire.requests.length = 0;
  });

  afterEach(() => log.restore());

  const users = Array.from({ length: 40 }, (_, n) => `user${n}`);
  const execute = async (command: ICommand): Promise<unknown> => crowd.app.get(CommandBus).execute(command);

  it('commands never mix up those whom they name', async () => {
    const report = await sendCrowd(crowd.wire, {
      serve: ({ membership, key }) =>
        medplum.onBehalfOf('someone-else', () => execute(new VisitCommand(membership, key))),
      refuse: ({ membership, key }) => execute(new BareCommand(membership, key)),
    });
    expect(report).toEqual(noMixUps());
  });

  it('queries never mix up those whom they name', async () => {
    const report = await sendCrowd(crowd.wire, {
      serve: ({ membership, key }) => crowd.app.get(QueryBus).execute(new VisitQuery(membership, key)),
      refuse: ({ membership, key }) => execute(new BareCommand(membership, key)),
    });
    expect(report).toEqual(noMixUps());
  });

  it('without a decorator, commands act for whoever executes them', async () => {
    const report = await sendCrowd(crowd.wire, {
      serve: ({ membership, key }) => medplum.onBehalfOf(membership, () => execute(new BareCommand('nobody', key))),
      refuse: ({ membership, key }) => execute(new BareCommand(membership, key)),
    });
    expect(report).toEqual(noMixUps());
  });

  it('events act for those whom they name, whoever publishes them', async () => {
    const seen = new Set<unknown>();
    const all = firstValueFrom(
      crowd.app.get(VisitedHandler).seen.pipe(filter((who) => seen.add(who).size === users.length)),
    );
    medplum.onBehalfOf('someone-else', () => {
      const events = users.map((membership) => new VisitedEvent(membership, `${membership}.0`));
      crowd.app.get(EventBus).publishAll(events);
    });
    await all;
    expect(seen).toEqual(new Set(users.map((membership) => `ProjectMembership/${membership}`)));
    expect(mixUpsOf(crowd.wire)).toEqual([]);
  });

  it('without a decorator, events act for whoever publishes them and waits', async () => {
    const who = firstValueFrom(crowd.app.get(BareEventHandler).seen);
    await medplum.onBehalfOf('user1', () => {
      crowd.app.get(EventBus).publish(new BareEvent('nobody', 'user1.0'));
      return who;
    });
    expect(await who).toBe('ProjectMembership/user1');
  });

  it('commands of a saga act for those whom they name, after the scope of the publisher has ended', async () => {
    const wanted = users.length * 3;
    medplum.onBehalfOf('someone-else', () => {
      crowd.app.get(EventBus).publishAll(users.map((membership) => new ReferredEvent(membership, `${membership}.0`)));
    });
    await crowd.wire.received(wanted);
    expect(mixUpsOf(crowd.wire)).toEqual([]);
  });

  it('run nothing for a message that names nobody', async () => {
    const nobody = undefined as unknown as string;
    const unhandled = firstValueFrom(crowd.app.get(UnhandledExceptionBus));
    await expect(execute(new VisitCommand(nobody, 'user1.0'))).rejects.toThrow(OnBehalfOfReferenceError);
    const ask = async () => crowd.app.get(QueryBus).execute(new VisitQuery(nobody, 'user1.0'));
    await expect(ask()).rejects.toThrow(OnBehalfOfReferenceError);
    await expect(execute(new BareCommand(nobody, 'user1.0-refused'))).rejects.toThrow(OnBehalfOfRequiredError);
    crowd.app.get(EventBus).publish(new VisitedEvent(nobody, 'user1.0'));
    expect((await unhandled).exception).toBeInstanceOf(OnBehalfOfReferenceError);
    expect(log.text('error')).toContain('has thrown an unhandled exception');
    expect(crowd.wire.requests).toEqual([]);
  });

  it('with @OnBehalfOf(), which does nothing there, do not start', async () => {
    await expect(start(WrongHandler)).rejects.toThrow(/WrongHandler\.execute: .*Use @RunOnBehalfOf\(\)/);
  });
});
