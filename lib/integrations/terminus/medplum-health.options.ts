import { MedplumConfigError } from '../../errors/medplum-config.error';
import { type Check, ms, problemsOf } from '../../options-checks';

/** Options of `MedplumHealthModule.forRoot()`. */
export interface MedplumHealthModuleOptions {
  /** How long it is believed that a client is up, in ms. Default 10,000. That it is down is believed for 1,000 at most. */
  readonly ttl?: number;
  /**
   * For the request that finds out, in ms. Default 3,000. Keep it below the time limit of what calls your health
   * endpoint, such as the `timeoutSeconds` of a Kubernetes probe. Where `audit.mode` is `require`, what the sinks take
   * comes on top.
   */
  readonly timeout?: number;
}

/** @internal Token of the options; absent when the module is imported without `forRoot()`. */
export const HEALTH_OPTIONS = Symbol.for('nestjs-medplum:health-options');

const DEFAULTS: Required<MedplumHealthModuleOptions> = { ttl: 10_000, timeout: 3_000 };
const CHECKS: Readonly<Record<keyof MedplumHealthModuleOptions, Check>> = { ttl: ms, timeout: ms };

/**
 * @internal
 * @throws MedplumConfigError with every problem of the options at once, never with a value.
 */
export function resolveHealthOptions(given: MedplumHealthModuleOptions): Required<MedplumHealthModuleOptions> {
  if (typeof given !== 'object' || given === null) {
    throw new MedplumConfigError('MedplumHealthModule.forRoot() takes an object of options, or nothing.');
  }
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  const problems = [...problemsOf(Object.fromEntries(said), CHECKS)];
  if (problems.length > 0) {
    throw new MedplumConfigError(`The options of MedplumHealthModule are wrong:\n- ${problems.join('\n- ')}`);
  }
  return Object.freeze({ ...DEFAULTS, ...Object.fromEntries(said) });
}
