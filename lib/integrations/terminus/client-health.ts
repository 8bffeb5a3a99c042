import { Logger } from '@nestjs/common';
import type { MedplumConnection } from '../../medplum-connection';
import { findFault } from './find-fault';
import type { MedplumHealthModuleOptions } from './medplum-health.options';

/** How long it is believed that a client is down, in ms: it may be well again, but a public endpoint must not press it. */
const DOWN_TTL = 1_000;

/** The health of one client: what was found out last, who waits for more, and what the log knows. */
export class ClientHealth {
  readonly #logger = new Logger('MedplumHealth');
  /** By the monotonic clock. */
  #expires = 0;
  #isUp = false;
  #asking: Promise<boolean> | undefined;
  #logged: string | undefined;

  constructor(
    private readonly connection: MedplumConnection,
    private readonly options: Required<MedplumHealthModuleOptions>,
  ) {}

  /** Everybody who asks at once shares one request. */
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
