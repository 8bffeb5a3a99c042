import { AsyncResource } from 'node:async_hooks';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import type { MedplumConnection } from '../../medplum-connection';
import { getConnectionToken } from '../../medplum.tokens';
import { ClientHealth } from './client-health';
import { HEALTH_OPTIONS, type MedplumHealthModuleOptions, resolveHealthOptions } from './medplum-health.options';

/** Options of {@link MedplumHealthIndicator.isHealthy}. */
export interface MedplumHealthCheckOptions {
  /** The `name` of the client in `MedplumModule.forRoot()`. Default: the one without a name. */
  readonly client?: string;
}

/**
 * Whether Medplum can be worked with, for `@nestjs/terminus`: `up` when the server answers in time, accepts the
 * credentials of the client, and says that the client is a project admin, without which it acts for nobody.
 *
 * The client's own `ProjectMembership` is searched for, as the client itself and without retries. All who ask meanwhile
 * share one request, and its answer is kept for a while ({@link MedplumHealthModuleOptions}). Each request publishes its
 * event on `MedplumAudit.events$`, with the reason `health check`.
 *
 * @example
 * ```ts
 * @Get()
 * @HealthCheck()
 * check() {
 *   return this.health.check([() => this.medplum.isHealthy('medplum')]);
 * }
 * ```
 */
@Injectable()
export class MedplumHealthIndicator {
  readonly #indicators: HealthIndicatorService;
  readonly #moduleRef: ModuleRef;
  readonly #options: Required<MedplumHealthModuleOptions>;
  readonly #clients = new Map<MedplumConnection, ClientHealth>();
  // Made while the app starts, outside every scope: what is asked for all must not run in the scope of who asks first.
  readonly #outside = new AsyncResource('MedplumHealthIndicator');

  /** @internal Made by MedplumHealthModule; inject it. */
  constructor(
    indicators: HealthIndicatorService,
    moduleRef: ModuleRef,
    @Optional() @Inject(HEALTH_OPTIONS) options?: Required<MedplumHealthModuleOptions>,
  ) {
    this.#indicators = indicators;
    this.#moduleRef = moduleRef;
    this.#options = options ?? resolveHealthOptions({});
  }

  /**
   * The state of one client. The result says `up` or `down` and nothing else, because health endpoints are often public;
   * why a client is down is in the log, once per change.
   *
   * @param key name of the entry in the answer of the health check.
   * @throws MedplumConfigError when there is no such client; whatever the server does is a result.
   */
  async isHealthy<const Key extends string>(
    key: Key,
    options: MedplumHealthCheckOptions = {},
  ): Promise<HealthIndicatorResult<Key, 'up' | 'down'>> {
    const health = this.#healthOf(options.client);
    const isUp = await this.#outside.runInAsyncScope(() => health.isUp());
    const indicator = this.#indicators.check(key);
    return isUp ? indicator.up() : indicator.down();
  }

  #healthOf(client: string | undefined): ClientHealth {
    const connection = this.#connection(client);
    const known = this.#clients.get(connection);
    if (known) {
      return known;
    }
    const health = new ClientHealth(connection, this.#options);
    this.#clients.set(connection, health);
    return health;
  }

  #connection(client: string | undefined): MedplumConnection {
    try {
      return this.#moduleRef.get<MedplumConnection>(getConnectionToken(client), { strict: false });
    } catch {
      throw new MedplumConfigError(
        client === undefined
          ? 'The health of the Medplum client without a name was asked for, but there is none: import MedplumModule.forRoot(), or name the client in isHealthy(key, { client }).'
          : `The health of the Medplum client "${client}" was asked for, but there is none of that name: look at the names in MedplumModule.forRoot().`,
      );
    }
  }
}
