import type { EmulatorRateLimits, MedplumServerVersion } from './emulator.types';
import type { Fault } from './faults';
import type { EmulatorFixtures } from './fixtures.types';

/** Options of `MedplumEmulator.start`. All of them are optional. */
export interface MedplumEmulatorOptions {
  /** Port on 127.0.0.1. Default 0, which picks a free one. */
  port?: number;
  /**
   * Projects, clients, resources and memberships to start with, in the format of the recorded wire cases. With fixtures
   * there is no default project and no default client.
   */
  fixtures?: EmulatorFixtures;
  /** Features of the default project, for example `['transaction-bundles']`. */
  features?: readonly string[];
  /** Faults to start with; see `MedplumEmulator.injectFault`. */
  faults?: readonly Fault[];
  /** Which Medplum release to imitate. Default `'5.0'`, the recorded one. */
  serverVersion?: MedplumServerVersion;
  /** Limits per minute. Default: so high that no test reaches them. */
  rateLimits?: EmulatorRateLimits;
  /**
   * File that keeps the state: resources with their ids and versions, secrets, memberships. If the file exists, the emulator
   * goes on from it and ignores `fixtures` and `features`. The file holds secrets: do not commit it. Default: none, so that
   * everything is gone after `close()`.
   */
  persist?: string;
  /** Starts even if `NODE_ENV` is `production`. Default `false`. */
  allowProduction?: boolean;
}

/** What `MedplumEmulator.options` returns. You can pass it to `MedplumModule.forRoot(...)`. */
export interface MedplumEmulatorConnection {
  /** Where the emulator listens, with a trailing slash. */
  baseUrl: string;
  /** Id of the ClientApplication. */
  clientId: string;
  /** Its secret, random per start. */
  clientSecret: string;
}
