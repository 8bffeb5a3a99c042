import { MedplumConfigError } from '../../errors/medplum-config.error';
import { type Check, ms, problemsOf } from '../../module/options-checks';

/** Options of `MedplumHealthModule.forRoot()`. */
export interface MedplumHealthModuleOptions {
  /** How long the result `up` counts, in ms. Default 10,000. The result `down` counts for at most 1,000 ms. */
  readonly ttl?: number | undefined;
  /**
   * Time limit of the request that checks the client, in ms. Default 3,000. Keep it below the time limit of whatever calls
   * your health endpoint, such as `timeoutSeconds` of a Kubernetes probe. If `audit.mode` is `require`, the time that the
   * sinks take comes on top.
   */
  readonly timeout?: number | undefined;
}

/** @internal Token of the options. Nothing provides it if the module is imported without `forRoot()`. */
export const HEALTH_OPTIONS = Symbol.for('nestjs-medplum:health-options');

const DEFAULTS: Required<MedplumHealthModuleOptions> = { ttl: 10_000, timeout: 3_000 };
const CHECKS: Readonly<Record<keyof MedplumHealthModuleOptions, Check>> = { ttl: ms, timeout: ms };

/**
 * @internal
 * @throws MedplumConfigError that lists every problem of the options, but none of their values.
 */
export function resolveHealthOptions(given: MedplumHealthModuleOptions): Required<MedplumHealthModuleOptions> {
  if (typeof given !== 'object' || given === null) {
    throw new MedplumConfigError(
      'MedplumHealthModule.forRoot() was given something that is not an object. It takes an object of options, or nothing.',
    );
  }
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const problems = [...problemsOf(options, CHECKS)];
  if (problems.length > 0) {
    throw new MedplumConfigError(`The options of MedplumHealthModule are wrong:\n- ${problems.join('\n- ')}`);
  }
  return Object.freeze({ ...DEFAULTS, ...options });
}
