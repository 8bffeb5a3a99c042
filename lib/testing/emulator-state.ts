import type { Caller } from './caller';
import { loadDefinitions } from './definitions';
import type { MedplumServerVersion, Project, Reference } from './emulator.types';
import { RateLimiter } from './rate-limiter';
import { EmulatorRepository, type RepositoryHost } from './repository';
import { currentVersion, Store } from './store';

/** Everything that one emulator keeps: nothing of it is shared with another emulator of the process. */
export class EmulatorState {
  readonly store = new Store();
  readonly definitions = loadDefinitions();
  /** Bearer tokens by their text. */
  readonly tokens = new Map<string, { readonly clientId: string; readonly expiresAt: number }>();
  /** `http://127.0.0.1:1234/`, known once the server listens. */
  baseUrl = '';
  private readonly hosts = new Map<string, RepositoryHost>();
  private lastTime = 0;

  constructor(
    readonly serverVersion: MedplumServerVersion,
    readonly limiter: RateLimiter,
  ) {}

  /** The project's part of the store as a caller sees it. */
  repository(caller: Caller, extended: boolean): EmulatorRepository {
    return new EmulatorRepository(this.host(caller.project), { caller, extended });
  }

  /** The project's part of the store as the server itself sees it: no policy, no quota. */
  systemRepository(project: string, author?: Reference): EmulatorRepository {
    return new EmulatorRepository(this.host(project), { caller: undefined, extended: true, ...(author && { author }) });
  }

  /** The project as it is now. */
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
