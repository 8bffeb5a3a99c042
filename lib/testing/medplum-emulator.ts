import { inspect } from 'node:util';
import type { Binary } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumModuleOptions } from '../index';
import { EmulatorServer } from './emulator-server';
import { EmulatorState } from './emulator-state';
import type { EmulatorRateLimits, RecordedRequest, Resource, StoredResource } from './emulator.types';
import type { Fault, InjectedFault } from './faults';
import type { SeededVariables } from './fixtures.types';
import type { MedplumEmulatorConnection, MedplumEmulatorOptions } from './medplum-emulator.options';
import { listMembers } from './member-list';
import type { Persistence } from './persistence';
import { RateLimiter } from './rate-limiter';
import { SeededNames, seedOrLoad } from './seeded-names';
import { Seeder } from './seeder';
import type {
  ClientInput,
  EmulatorMember,
  MemberInput,
  ProjectInput,
  ResourceInput,
  SeededClient,
  SeededMember,
  SeededProject,
} from './seeding.types';
import type { StoreSnapshot } from './store';

/** The state of an emulator, for {@link MedplumEmulator.restore}. Opaque. */
export type MedplumEmulatorSnapshot = StoreSnapshot;

/**
 * A Medplum FHIR server inside this process, for tests and samples. Its access policies, `X-Medplum-On-Behalf-Of`, search,
 * batches, versions and errors behave like those of the real server. It listens only on 127.0.0.1 and keeps everything in
 * memory, and with `persist` in a file. You can run any number of emulators side by side.
 *
 * @example
 * ```ts
 * const emulator = await MedplumEmulator.start();
 * const ada = await emulator.createMember({
 *   profile: { resourceType: 'Practitioner', name: [{ given: ['Ada'], family: 'Arzt' }] },
 *   policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }],
 * });
 * const patient = await emulator.createResource({ resourceType: 'Patient', gender: 'female' });
 *
 * const app = await Test.createTestingModule({
 *   imports: [MedplumModule.forRoot(emulator.options())],
 * }).compile();
 * await app.get(MedplumService).readResource('Patient', patient.id, { onBehalfOf: ada.membership });
 *
 * emulator.requests.at(-1); // { method: 'GET', path: '/fhir/R4/Patient/…', onBehalfOf: 'ProjectMembership/…', status: 200, … }
 * await emulator.close();
 * ```
 */
export class MedplumEmulator {
  private readonly seeder: Seeder;
  private readonly names = new SeededNames();
  private persistence: Persistence | undefined;

  private constructor(
    private readonly state: EmulatorState,
    private readonly server: EmulatorServer,
  ) {
    this.seeder = new Seeder(state);
  }

  /**
   * Starts an emulator. Without fixtures it has one project with one administrator client, and `options()` returns that
   * client's credentials.
   *
   * @throws Error if the port is in use, if `NODE_ENV` is `production`, or if the fixtures are malformed. The error lists
   * every problem of the fixtures.
   */
  static async start(options: MedplumEmulatorOptions = {}): Promise<MedplumEmulator> {
    if (process.env.NODE_ENV === 'production' && !options.allowProduction) {
      throw new Error(
        'MedplumEmulator did not start, because it is for tests and NODE_ENV is production. ' +
          'Pass allowProduction: true if this process really serves nobody.',
      );
    }
    const { serverVersion = '5.0' } = options;
    const state = new EmulatorState(serverVersion, new RateLimiter(options.rateLimits ?? {}, serverVersion));
    const server = new EmulatorServer(state, options.onRequest);
    const emulator = new MedplumEmulator(state, server);
    for (const fault of options.faults ?? []) {
      server.faults.inject(fault);
    }
    state.baseUrl = await server.listen(options.port ?? 0, options.keepProcessAlive ?? false);
    try {
      emulator.persistence = await seedOrLoad(options, state.store, emulator.seeder, emulator.names);
    } catch (error) {
      await server.close();
      throw error;
    }
    return emulator;
  }

  /** `http://127.0.0.1:<port>/`, with a trailing slash. */
  get baseUrl(): string {
    return this.state.baseUrl;
  }

  /**
   * Every request since the start or the last {@link clearRequests}, in the order of arrival. When there are more than
   * 100,000, the older half is dropped. Holds no secret.
   */
  get requests(): readonly RecordedRequest[] {
    return this.server.log;
  }

  /** Forgets the recorded requests. */
  clearRequests(): void {
    this.server.log.length = 0;
  }

  /**
   * Base URL and credentials of a client, ready for `MedplumModule.forRoot(...)`.
   *
   * @param client name in the fixtures, or name given to {@link createClient}. Default: the first client.
   * @throws Error if no client has that name.
   */
  options(client?: string): MedplumEmulatorConnection;
  /**
   * The options of your app, connected to the emulator: base URL and credentials are those of the emulator, and everything
   * else stays, such as `membershipCheck` and `resolveOnBehalfOf`. Only `publicUrl` is left out, because the emulator's
   * links name its own address.
   *
   * @param appOptions what your app passes to `MedplumModule.forRoot(...)`.
   * @param client name in the fixtures, or name given to {@link createClient}. Default: the first client.
   * @throws Error if no client has that name.
   *
   * @example
   * ```ts
   * builder.overrideProvider(getMedplumOptionsToken()).useValue(emulator.options(medplumOptions));
   * ```
   */
  options(appOptions: Partial<MedplumModuleOptions>, client?: string): MedplumModuleOptions & MedplumEmulatorConnection;
  options(
    first?: Partial<MedplumModuleOptions> | string,
    second?: string,
  ): MedplumModuleOptions & MedplumEmulatorConnection {
    if (typeof first !== 'object') {
      return this.connection(first ?? second);
    }
    const { publicUrl: _ofAnotherServer, ...appOptions } = first;
    return { ...appOptions, ...this.connection(second) };
  }

  private connection(name: string | undefined): MedplumEmulatorConnection {
    const { id, secret } = this.names.client(name);
    return { baseUrl: this.baseUrl, clientId: id, clientSecret: secret };
  }

  /** Creates a project. */
  createProject(input: ProjectInput = {}): Promise<SeededProject> {
    return this.seeder.createProject(input);
  }

  /** Creates a client application. `options(name)` then returns its credentials. */
  async createClient(input: ClientInput = {}): Promise<SeededClient> {
    const client = await this.seeder.createClient(input);
    this.names.clients.set(input.name ?? client.id, client);
    return client;
  }

  /** Makes a person a member of a project, with an access policy of their own. */
  createMember(input: MemberInput): Promise<SeededMember> {
    return this.seeder.createMember(input);
  }

  /**
   * Stores a resource as the project's administrator, whatever the policies say. The server assigns the id and keeps
   * `meta.accounts`.
   *
   * @throws Error (an OperationOutcomeError of `@medplum/core`) if the resource is not valid.
   */
  createResource<T extends Resource>(resource: T, options: ResourceInput = {}): Promise<T & StoredResource> {
    return this.seeder.createResource(resource, options);
  }

  /** Stores a Binary with its content. */
  createBinary(
    content: Buffer | string,
    contentType: string,
    options: ResourceInput = {},
  ): Promise<Binary & StoredResource> {
    return this.seeder.createBinary(content, contentType, options);
  }

  /**
   * Makes the next requests that match go wrong.
   *
   * @example
   * ```ts
   * emulator.injectFault({ method: 'GET', path: '/fhir/R4/Patient', status: 503, times: 2 });
   * emulator.injectFault({ method: 'POST', reset: 'before-answer' });
   * ```
   */
  injectFault(fault: Fault): InjectedFault {
    return this.server.faults.inject(fault);
  }

  /** Removes all faults. */
  clearFaults(): void {
    this.server.faults.clear();
  }

  /** Replaces the limits and forgets what was used of the old ones. */
  setRateLimits(limits: EmulatorRateLimits): void {
    this.state.limiter.reset(limits);
  }

  /** Invalidates all bearer tokens, as a restart of the real server's cache does. */
  revokeTokens(): void {
    this.state.tokens.clear();
  }

  /**
   * The symbolic names of the fixtures and what they stand for, in the format of `seeded.json`. The result holds secrets:
   * do not log it, and do not commit it.
   */
  seeded(): { format: 'medplum-wire-seeded/1'; baseUrl: string; vars: SeededVariables } {
    return { format: 'medplum-wire-seeded/1', baseUrl: this.baseUrl, vars: { ...this.names.variables } };
  }

  /** The people who are members of a project now, the oldest first. Clients are not among them. */
  members(): EmulatorMember[] {
    return listMembers(this.state.store, this.names.variables);
  }

  /** Captures all resources as they are now. */
  snapshot(): MedplumEmulatorSnapshot {
    return this.state.store.snapshot();
  }

  /** Goes back to a snapshot. You can restore the same snapshot again. Recorded requests and faults stay. */
  restore(snapshot: MedplumEmulatorSnapshot): void {
    this.state.store.restore(snapshot);
  }

  /** Closes all connections, frees the port, and writes the file of `persist`. */
  async close(): Promise<void> {
    await this.server.close();
    this.persistence?.save();
  }

  /** What loggers and assertion messages show: only the address, because the emulator holds secrets. */
  [inspect.custom](): string {
    return `MedplumEmulator { baseUrl: '${this.baseUrl}' }`;
  }

  /** What `JSON.stringify` shows: only the address. */
  toJSON(): { baseUrl: string } {
    return { baseUrl: this.baseUrl };
  }
}
