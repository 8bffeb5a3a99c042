import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { MedplumModule, type MedplumModuleOptions, MedplumService } from 'nestjs-medplum';
import { closeAll } from './close-all';
import { seededRandom } from './seeded-random';
import { outcome, resourceAsked, type WireRequest, WireServer } from './wire-server';

const USERS = 40;
const VISITS = 10;
/** Every such visit is followed by one that nobody is named for. */
const PROBE_EVERY = 5;

/** What one user asks for. The part of `key` before the dot names whom its requests must be for. */
export interface Visit {
  readonly membership: string;
  readonly key: string;
}

/** What came of the visits of all users. */
export interface CrowdReport {
  /** Visits that were made, and of them those without an identity. */
  readonly visits: number;
  readonly refused: number;
  /** Visits with another answer than that of their own user. */
  readonly wrongAnswers: readonly string[];
  /** Requests that arrived for another identity than the one they name, or without one. */
  readonly mixUps: readonly string[];
  /** How many of the requests that the visits make never arrived. */
  readonly missing: number;
}

/** What a crowd comes to when nobody is mixed up with anybody, and nothing is left behind for the next visit. */
export function noMixUps(visitsEach = VISITS): CrowdReport {
  const refused = USERS * Math.ceil(visitsEach / PROBE_EVERY);
  return { visits: USERS * visitsEach, refused, wrongAnswers: [], mixUps: [], missing: 0 };
}

// In ms. A crowd takes about two seconds, and much longer when other processes want the same cores.
jest.setTimeout(60_000);

/** The service that the handlers of all contexts call. */
@Injectable()
export class Charts {
  constructor(private readonly medplum: MedplumService) {}

  /**
   * Calls as handlers make them: together with those of a nested scope, after a pause, and after failures. Every tenth
   * visit of a user fails with a 404.
   *
   * @returns whom it acted for.
   */
  async visit(key: string): Promise<string | undefined> {
    const [own] = await Promise.allSettled([
      this.read(`${key}-own`),
      this.medplum.onBehalfOf(`ProjectMembership/${ownerOf(key)}deputy`, () => this.read(`${key}-deputy`)),
    ]);
    await new Promise((resolve) => setImmediate(resolve));
    await this.read(`${key}-after`);
    if (own.status === 'rejected') {
      throw own.reason;
    }
    return this.medplum.currentOnBehalfOf;
  }

  async read(id: string): Promise<string | undefined> {
    await this.medplum.readResource('Patient', id);
    return this.medplum.currentOnBehalfOf;
  }
}

/** Whom the requests of a key are for, as a bare id. */
export function ownerOf(key: string): string {
  return key.split('.')[0] ?? '';
}

/** A server whose answers take up to 4 ms. Some connections break, and some reads fail. */
export async function startCrowdServer(): Promise<WireServer> {
  const random = seededRandom();
  const seen = new Set<string>();
  return WireServer.start((request) => {
    const delay = random() * 4;
    const isFirst = !seen.has(request.path);
    seen.add(request.path);
    if (isFirst && random() < 0.03) {
      return { delay, destroy: true };
    }
    // The own read of one visit fails, and the nested read of another one.
    if (/\.3-own$|\.5-deputy$/.test(request.path)) {
      return { delay, status: 404, body: outcome('not-found', 'not-found', 'taint: Not found') };
    }
    return { delay, body: resourceAsked(request) };
  });
}

/** An app, and the server that it calls. */
export interface CrowdApp<T> {
  readonly app: T;
  readonly wire: WireServer;
  close(): Promise<void>;
}

/** Starts an app with {@link Charts} and a client of a server for crowds. `create` makes the app of the module. */
export async function startCrowdApp<T extends { close(): Promise<unknown> } = TestingModule>(
  { imports = [], providers = [], ...metadata }: ModuleMetadata,
  create: (module: TestingModule) => T | Promise<T>,
  options: Partial<MedplumModuleOptions> = {},
): Promise<CrowdApp<T>> {
  const wire = await startCrowdServer();
  let module: TestingModule | undefined;
  try {
    // With few sockets, calls of different users share one.
    const client = { pool: { connections: 4 }, retry: { minTimeout: 1, maxTimeout: 5 }, ...options };
    module = await Test.createTestingModule({
      ...metadata,
      imports: [MedplumModule.forRoot(wire.options(client)), ...imports],
      providers: [Charts, ...providers],
    }).compile();
    const app = await create(module);
    return { app, wire, close: () => closeAll(app, wire) };
  } catch (error) {
    await closeAll(module, wire).catch(() => undefined);
    throw error;
  }
}

/**
 * Sends the visits of 40 users at the same time and counts what went wrong. The random delays of the server mix
 * them.
 *
 * @param ways.serve makes a visit in the context under test. Resolves to whom the handler acted for, and rejects when the
 * visit failed.
 * @param ways.refuse makes a visit that nobody is named for, so that it has to fail with nothing sent.
 * @param visitsEach how many visits each user makes, one after the other. Default 10.
 */
export async function sendCrowd(
  wire: WireServer,
  { serve, refuse }: Record<'serve' | 'refuse', (visit: Visit) => Promise<unknown>>,
  visitsEach = VISITS,
): Promise<CrowdReport> {
  wire.requests.length = 0;
  const wrongAnswers: string[] = [];
  let refused = 0;
  const isRefused = (visit: Visit): Promise<void> =>
    refuse(visit).then(
      () => void wrongAnswers.push(`${visit.key} was not refused`),
      () => void refused++,
    );
  const visits: Visit[] = [];
  const visitAs = async (membership: string): Promise<void> => {
    for (let n = 0; n < visitsEach; n++) {
      const visit = { membership, key: `${membership}.${n}` };
      visits.push(visit);
      const answer = await serve(visit).catch(() => 'failed');
      const expected = n === 3 ? 'failed' : `ProjectMembership/${membership}`;
      if (answer !== expected) {
        wrongAnswers.push(`${visit.key} got ${String(answer)}`);
      }
      if (n % PROBE_EVERY === 0) {
        await isRefused({ membership: 'nobody', key: `${visit.key}-refused` });
      }
    }
  };
  await Promise.all(Array.from({ length: USERS }, (_, n) => visitAs(`user${n}`)));
  const arrived = new Set(wire.requests.map(({ path }) => path));
  const missing = visits.flatMap(({ key }) =>
    ['own', 'deputy', 'after'].filter((part) => !arrived.has(`/fhir/R4/Patient/${key}-${part}`)),
  ).length;
  return { visits: visits.length, refused, wrongAnswers, mixUps: mixUpsOf(wire), missing };
}

/** The paths of the requests that arrived for another identity than the one they name. */
export function mixUpsOf(wire: WireServer): string[] {
  return wire.requests.filter((request) => !isForItsOwner(request)).map(({ path }) => path);
}

/** Whether a request names whom it is for, exactly once. Those that had to be refused must not arrive at all. */
function isForItsOwner({ path, onBehalfOf, rawHeaders }: WireRequest): boolean {
  const key = path.split('/').pop() ?? '';
  const owner = `ProjectMembership/${ownerOf(key)}${key.endsWith('-deputy') ? 'deputy' : ''}`;
  const headers = rawHeaders.filter((name) => name.toLowerCase() === 'x-medplum-on-behalf-of');
  return onBehalfOf === owner && headers.length === 1 && !key.includes('refused');
}
