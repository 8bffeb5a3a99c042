/** What the types accept and refuse in an app that compiles with `exactOptionalPropertyTypes`; see consumer.ts. */
import 'reflect-metadata';
import {
  ClientProxyAuditSink,
  LoggerAuditSink,
  MedplumModule,
  type MedplumModuleOptions,
  type MedplumService,
  type ParametersOf,
  RunOnBehalfOf,
  type Stored,
} from 'nestjs-medplum';
import type { Patient, Practitioner, Resource } from 'nestjs-medplum/fhirtypes';

declare const medplum: MedplumService;
declare const config: { get(name: string): string | undefined };
declare const patient: Patient;
declare const stored: Stored<Patient>;
declare const either: Patient | Practitioner;
declare const any: Resource;

interface Job<T> {
  readonly data: T;
}

interface NoteInput {
  readonly note: string;
}

export const options: MedplumModuleOptions = {
  baseUrl: config.get('MEDPLUM_BASE_URL'),
  clientId: 'client',
  clientSecret: 'not-a-secret',
  timeout: undefined,
  retry: { maxRetries: undefined },
  audit: { onFull: undefined, sinks: [new LoggerAuditSink({ form: undefined })] },
};

// @ts-expect-error: an identity that is undefined is a mistake, and never means "no identity".
export const noIdentity: MedplumModuleOptions = { ...options, defaultOnBehalfOf: undefined };

export const modules = [
  MedplumModule.forRoot({ ...options, name: config.get('MEDPLUM_CLIENT_NAME') }),
  MedplumModule.forRootAsync({ useFactory: () => options }),
  MedplumModule.forRootAsync({ useFactory: async (): Promise<MedplumModuleOptions> => options }),
  MedplumModule.forRootAsync({ useFactory: (secret: string) => ({ clientId: 'client', clientSecret: secret }) }),
  MedplumModule.forRootAsync({
    useFactory: async () => ({
      clientId: 'client',
      clientSecret: 'not-a-secret',
      auth: 'client-credentials',
      audit: {
        mode: 'require',
        sinks: [new ClientProxyAuditSink({ emit: () => [] } as never, { pattern: 'a', form: 'phi' })],
      },
    }),
  }),
  MedplumModule.forRootAsync({
    // @ts-expect-error: no such option.
    useFactory: () => ({ clientId: 'client', clientSecret: 'not-a-secret', baseURL: 'https://api.medplum.com/' }),
  }),
  MedplumModule.forRootAsync({
    // @ts-expect-error: no such option.
    useFactory: async () => ({ clientId: 'client', clientSecret: 'not-a-secret', retry: { maxRetrys: 1 } }),
  }),
  MedplumModule.forRootAsync({
    // @ts-expect-error: it has to stand beside the factory.
    useFactory: () => ({ clientId: 'client', clientSecret: 'not-a-secret', isGlobal: false }),
  }),
];

export class Repository<T extends Resource> {
  save(resource: T): Promise<Stored<T>> {
    return medplum.createResource(resource);
  }

  replace<P extends Patient>(resource: P): Promise<Stored<P>> {
    return medplum.updateResource<P>(resource);
  }
}

export async function resources(): Promise<void> {
  const created = await medplum.createResource({
    resourceType: 'Patient',
    name: [{ family: 'Simpson' }],
    extension: [{ url: 'https://example.com/a', extension: [{ url: 'b', valueString: 'c' }] }],
    contained: [{ resourceType: 'Organization', name: 'Clinic' }],
  });
  created.id.at(0);
  created.name[0]?.family.at(0);
  const { maritalStatus }: Patient = created;
  await medplum.updateResource({ ...created, active: true });
  for (const resource of [patient, stored, either, any]) {
    await medplum.updateResource(resource);
  }
  await medplum.upsertResource({ ...patient, ...(maritalStatus && { maritalStatus }) }, { identifier: '1' });
  await medplum.createResourceIfNoneExist(patient, { identifier: '1' });
  const families = [{ family: 'Simpson' }];
  await medplum.createResource({ resourceType: 'Patient', ...(families.length > 0 && { name: families }) });

  // @ts-expect-error: `name` is misspelt.
  await medplum.createResource({ resourceType: 'Patient', nmae: [{ family: 'Simpson' }] });
  // @ts-expect-error: `family` is misspelt.
  await medplum.createResource({ resourceType: 'Patient', name: [{ famly: 'Simpson' }] });
  // @ts-expect-error: `active` is misspelt.
  await medplum.updateResource({ ...patient, actve: true });
  // @ts-expect-error: `name` is misspelt, in a contained resource.
  await medplum.updateResource({ resourceType: 'Patient', contained: [{ resourceType: 'Organization', nam: 'x' }] });
  // @ts-expect-error: `active` is misspelt.
  await medplum.createResourceIfNoneExist({ resourceType: 'Patient', actve: true }, { identifier: '1' });
  // @ts-expect-error: `active` is misspelt.
  await medplum.upsertResource({ resourceType: 'Patient', actve: true }, { identifier: '1' });
  // @ts-expect-error: a call with an identity that is undefined is a mistake.
  await medplum.readResource('Patient', '1', { onBehalfOf: undefined });
  await medplum.readResource('Patient', '1', { signal: undefined, timeout: undefined });
}

export async function operations(input: NoteInput): Promise<void> {
  type Checked = ParametersOf<{ result: 'valueBoolean'; message: 'valueString' }>;
  const checked = await medplum.operations.execute<Checked, NoteInput>({ operation: '$check', input });
  for (const parameter of checked.parameter ?? []) {
    if (parameter.name === 'result') {
      const result: boolean | undefined = parameter.valueBoolean;
      void result;
    }
  }
  const given: Checked = { resourceType: 'Parameters', parameter: [{ name: 'message', valueString: 'x' }] };
  await medplum.operations.execute({ operation: '$check', input: given });
  // @ts-expect-error: there is no parameter of that name.
  const wrong: Checked = { resourceType: 'Parameters', parameter: [{ name: 'mesage', valueString: 'x' }] };
  void wrong;
}

export class Reminders {
  @RunOnBehalfOf((job: Job<{ membership: string }>) => job.data.membership)
  async one(job: Job<{ membership: string; text: string }>): Promise<string> {
    return job.data.text;
  }

  @RunOnBehalfOf<[Job<{ membership: string }>]>((job) => job.data.membership)
  async two(job: Job<{ membership: string }>, token: string): Promise<string> {
    return `${job.data.membership} ${token}`;
  }

  @RunOnBehalfOf(() => 'ProjectMembership/m1')
  async three(text: string): Promise<string> {
    return text;
  }

  // @ts-expect-error: the method gets text, not a job.
  @RunOnBehalfOf((job: Job<{ membership: string }>) => job.data.membership)
  async four(text: string): Promise<string> {
    return text;
  }
}

export const sinks = [
  new LoggerAuditSink({ logger: { log: (line: string) => void line } }),
  new LoggerAuditSink({ logger: { info: (record: object) => void record } }),
  // @ts-expect-error: neither log nor info.
  new LoggerAuditSink({ logger: { write: (line: string) => void line } }),
];
