import { Logger } from '@nestjs/common';
import type { MedplumQuota } from '../../calls/medplum-quota';
import type { MedplumConnection } from '../../calls/connection';
import { findFault } from './find-fault';
import type { MedplumHealthModuleOptions } from './medplum-health.options';

/**
 * How long a failed check counts, in ms. It is short, because the client may recover. It is not zero, because callers of a
 * public endpoint must not flood the server.
 */
const DOWN_TTL = 1_000;

/** The health of one client: the last result, the check in progress, and what was logged last. */
export class ClientHealth {
  readonly #logger = new Logger('MedplumHealth');
  /** In ms of the monotonic clock, `performance.now()`. */
  #expires = 0;
  #isUp = false;
  #asking: Promise<boolean> | undefined;
  #logged: string | undefined;

  constructor(
    private readonly connection: MedplumConnection,
    private readonly options: Required<MedplumHealthModuleOptions>,
  ) {}

  /** What is left of the quota of the client. */
  get quota(): MedplumQuota {
    return this.connection.quota;
  }

  /** All callers that ask at the same time share one request. */
  async isUp(): Promise<boolean> {
    return performance.now() < this.#expires ? this.#isUp : (this.#asking ??= this.#ask());
  }

  async #ask(): Promise<boolean> {
    const { ttl, timeout } = this.options;
    const fault = await findFault(this.connection, timeout);
    this.#asking = undefined;
    this.#isUp = fault === undefined;
    this.#expires = performance.now() + (this.#isUp ? ttl : Math.min(ttl, DOWN_TTL));
    this.#log(fault);
    return this.#isUp;
  }

  #log(fault: string | undefined): void {
    if (fault === this.#logged) {
      return;
    }
    this.#logged = fault;
    const { name } = this.connection;
    if (fault === undefined) {
      this.#logger.log(`The Medplum client "${name}" is up again.`);
    } else {
      this.#logger.warn(`The Medplum client "${name}" is down: ${fault}`);
    }
  }
}
