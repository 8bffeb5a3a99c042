import { AsyncResource } from 'node:async_hooks';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import type { MedplumQuota } from '../../calls/medplum-quota';
import type { MedplumConnection } from '../../calls/connection';
import { getConnectionToken } from '../../medplum.tokens';
import { ClientHealth } from './client-health';
import { HEALTH_OPTIONS, type MedplumHealthModuleOptions, resolveHealthOptions } from './medplum-health.options';

/** Options of {@link MedplumHealthIndicator.isHealthy}. */
export interface MedplumHealthCheckOptions {
  /** The `name` of the client in `MedplumModule.forRoot()`. Default: the one without a name. */
  readonly client?: string | undefined;
  /**
   * Adds `quota` to the result: what is left of the quota of the client, and how many requests run and wait. It says nothing
   * about users, but a public endpoint need not tell everybody how busy the app is. Default `false`.
   */
  readonly quota?: boolean | undefined;
}

/**
 * Tells `@nestjs/terminus` whether a Medplum client works. It is `up` if the server responds in time, accepts the client's
 * credentials, and reports that the client is a project admin. Only a project admin can act on behalf of others.
 *
 * The check searches for the client's own `ProjectMembership`, as the client itself and without retries. Concurrent
 * checks share one request, and its result counts for a while ({@link MedplumHealthModuleOptions}). Each request publishes
 * its event on `MedplumAudit.events$`, with the reason `health check`.
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
  // Created while the app starts, outside every scope: a shared check must not run in the scope of its first caller.
  readonly #outside = new AsyncResource('MedplumHealthIndicator');

  /** @internal MedplumHealthModule makes the indicator; inject it. */
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
   * Checks one client. Unless you ask for `quota`, the result says `up` or `down` and nothing else, because health endpoints are often public. The log
   * says why a client is down, once per change.
   *
   * @param key name of the entry in the response of the health check.
   * @throws MedplumConfigError if there is no such client. Whatever the server does becomes a result, not an error.
   */
  async isHealthy<const Key extends string>(
    key: Key,
    options: MedplumHealthCheckOptions = {},
  ): Promise<HealthIndicatorResult<Key, 'up' | 'down', { readonly quota?: MedplumQuota }>> {
    const health = this.#healthOf(options.client);
    const data: { readonly quota?: MedplumQuota } = options.quota ? { quota: health.quota } : {};
    const isUp = await this.#outside.runInAsyncScope(() => health.isUp());
    const indicator = this.#indicators.check(key);
    return isUp ? indicator.up<typeof data>(data) : indicator.down<typeof data>(data);
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
          ? 'isHealthy() cannot check the Medplum client without a name, because there is none. Import MedplumModule.forRoot(), or name a client: isHealthy(key, { client }).'
          : `isHealthy() cannot check the Medplum client "${client}", because no client has that name. Pass a name that MedplumModule.forRoot() was given.`,
      );
    }
  }
}
