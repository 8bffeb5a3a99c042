import type { EmulatorRateLimits, MedplumServerVersion, RecordedRequest } from './emulator.types';
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
  /**
   * Whether a listening emulator keeps the process running. Default `false`, so that a test process ends even if the test
   * failed before it could call `close()`. Pass `true` if the process does nothing but run the emulator.
   */
  keepProcessAlive?: boolean;
  /**
   * Called when a request has ended: its response is sent, or the connection is closed. `durationMs` is the time since it
   * arrived, in ms. Useful for a log of requests; must not throw.
   */
  onRequest?: (request: RecordedRequest, durationMs: number) => void;
  /** Starts even if `NODE_ENV` is `production`. Default `false`. */
  allowProduction?: boolean;
}

/** What `MedplumEmulator.options` returns. You can pass it to `MedplumModule.forRoot(...)`. */
export interface MedplumEmulatorConnection {
  /** Where the emulator listens, with a trailing slash. */
  baseUrl: string;
  /** Id of the ClientApplication. */
  clientId: string;
  /** Its secret, random per start unless fixtures or a file of `persist` fix it. */
  clientSecret: string;
}
