import type { Caller } from './caller';
import { loadDefinitions } from './definitions';
import type { MedplumServerVersion, Project, Reference } from './emulator.types';
import { RateLimiter } from './rate-limiter';
import { EmulatorRepository } from './repository';
import type { RepositoryHost } from './repository.types';
import { currentVersion, Store } from './store';

/** Whom a bearer token belongs to: a client, or the membership that a bot runs as. */
export type TokenOwner = { readonly clientId: string } | { readonly membershipId: string };

/** Everything that one emulator keeps. Emulators of the same process share nothing but the FHIR definitions. */
export class EmulatorState {
  readonly store = new Store();
  readonly definitions = loadDefinitions();
  /** Bearer tokens by their text; `expiresAt` is in ms since the epoch. */
  readonly tokens = new Map<string, TokenOwner & { readonly expiresAt: number }>();
  /** For example `http://127.0.0.1:1234/`; empty until the server listens. */
  baseUrl = '';
  private readonly hosts = new Map<string, RepositoryHost>();
  private lastTime = 0;

  constructor(
    readonly serverVersion: MedplumServerVersion,
    readonly limiter: RateLimiter,
  ) {}

  /** The project's resources as a caller sees them. */
  repository(caller: Caller, extended: boolean): EmulatorRepository {
    return new EmulatorRepository(this.host(caller.project), { caller, extended });
  }

  /** The project's resources as the server itself sees them, without policy and quota. */
  systemRepository(project: string, author?: Reference): EmulatorRepository {
    return new EmulatorRepository(this.host(project), { caller: undefined, extended: true, ...(author && { author }) });
  }

  /** The current version of the project. */
  project(id: string): (Project & { id: string }) | undefined {
    const row = this.store.get('Project', id);
    return row && (currentVersion(row).resource as (Project & { id: string }) | undefined);
  }

  private host(project: string): RepositoryHost {
    let host = this.hosts.get(project);
    if (!host) {
      host = this.newHost(project);
      this.hosts.set(project, host);
    }
    return host;
  }

  private newHost(project: string): RepositoryHost {
    const { store, definitions, serverVersion, limiter } = this;
    const state = this as EmulatorState;
    return {
      store,
      definitions,
      serverVersion,
      project,
      get baseUrl() {
        return state.baseUrl;
      },
      get strictMode() {
        return state.project(project)?.strictMode ?? true;
      },
      charge(caller, points) {
        limiter.chargePoints(caller.membership.id, points);
      },
      now() {
        state.lastTime = Math.max(state.lastTime, Date.now());
        return new Date(state.lastTime).toISOString();
      },
    };
  }
}
