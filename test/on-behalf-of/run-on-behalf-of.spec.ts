import { Injectable, SetMetadata } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import { firstValueFrom, from, type Observable } from 'rxjs';
import {
  MedplumConfigError,
  MedplumService,
  OnBehalfOfReferenceError,
  RunAsClientApplication,
  RunOnBehalfOf,
} from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

interface Job {
  readonly data: { readonly membership?: string; readonly patient: string };
}

function practitioner(this: { readonly prefix: string }, id: string): string {
  return `${this.prefix}/${id}`;
}

@Injectable()
class ReminderProcessor {
  readonly prefix = 'Practitioner';

  constructor(private readonly medplum: MedplumService) {}

  @SetMetadata('queue', 'reminders')
  @RunOnBehalfOf((job: Job) => job.data.membership ?? '')
  @Cron('0 0 * * *', { disabled: true })
  async process(job: Job): Promise<string | undefined> {
    await this.medplum.readResource('Patient', job.data.patient);
    return this.medplum.currentOnBehalfOf;
  }

  @RunOnBehalfOf(practitioner)
  later(id: string): Observable<unknown> {
    return from(Promise.resolve(id)).pipe((source) => source);
  }

  @RunAsClientApplication({ reason: 'nightly count' })
  async count(): Promise<number> {
    await this.medplum.search('Patient', { _summary: 'count' });
    return 1;
  }
}

describe('@RunOnBehalfOf() and @RunAsClientApplication()', () => {
  let app: MedplumApp;
  let processor: ReminderProcessor;

  beforeEach(async () => {
    app = await startMedplumApp({}, { providers: [ReminderProcessor] });
    processor = app.module.get(ReminderProcessor);
  });

  afterEach(async () => {
    await app.close();
  });

  it('run a method for the identity in its arguments, concurrently and without leaving a scope behind', async () => {
    const jobs = ['a', 'b', 'c'].map((membership): Job => ({ data: { membership, patient: membership } }));
    expect(await Promise.all(jobs.map((job) => processor.process(job)))).toEqual([
      'ProjectMembership/a',
      'ProjectMembership/b',
      'ProjectMembership/c',
    ]);
    for (const { path, onBehalfOf } of app.wire.requests) {
      expect(onBehalfOf).toBe(`ProjectMembership/${path.split('/').pop()}`);
    }
    expect(app.medplum.currentOnBehalfOf).toBeUndefined();
  });

  it('call the source with `this` of the method', async () => {
    expect(await firstValueFrom(processor.later('p1'))).toBe('p1');
  });

  it('run as the client, and the event says why', async () => {
    await app.medplum.onBehalfOf('a', () => processor.count());
    expect(app.wire.identities).toEqual([undefined]);
    expect(app.events[0]).toMatchObject({ identitySource: 'client-application', reason: 'nightly count' });
  });

  it('refuse a job without an identity, and do not run it', () => {
    expect(() => processor.process({ data: { patient: '1' } })).toThrow(OnBehalfOfReferenceError);
    expect(app.wire.requests).toEqual([]);
  });

  it('say so when Nest did not create the instance', () => {
    const own = new ReminderProcessor(app.medplum);
    const run = () => own.process({ data: { membership: 'a', patient: '1' } });
    expect(run).toThrow(MedplumConfigError);
    expect(run).toThrow(/ReminderProcessor\.process cannot run, because Nest did not create the instance/);
  });

  it('keep the name of the method and the metadata of other decorators', () => {
    const method = Reflect.get(ReminderProcessor.prototype, 'process') as Function;
    expect(method.name).toBe('process');
    expect(Reflect.getMetadata('queue', method)).toBe('reminders');
    expect(Reflect.getMetadataKeys(method).map(String)).toContain('SCHEDULE_CRON_OPTIONS');
  });
});
