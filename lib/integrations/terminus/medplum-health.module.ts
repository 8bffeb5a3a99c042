import { type DynamicModule, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { MedplumHealthIndicator } from './medplum-health.indicator';
import { HEALTH_OPTIONS, type MedplumHealthModuleOptions, resolveHealthOptions } from './medplum-health.options';

/**
 * Provides {@link MedplumHealthIndicator} to the module that imports it, for all clients of the app.
 *
 * @example
 * ```ts
 * @Module({ imports: [TerminusModule, MedplumHealthModule], controllers: [HealthController] })
 * export class HealthModule {}
 * ```
 */
@Module({ imports: [TerminusModule], providers: [MedplumHealthIndicator], exports: [MedplumHealthIndicator] })
export class MedplumHealthModule {
  /**
   * Configures the module with other times than the defaults.
   *
   * @throws MedplumConfigError that lists every wrong option.
   */
  static forRoot(options: MedplumHealthModuleOptions = {}): DynamicModule {
    return {
      module: MedplumHealthModule,
      providers: [{ provide: HEALTH_OPTIONS, useValue: resolveHealthOptions(options) }],
    };
  }
}
