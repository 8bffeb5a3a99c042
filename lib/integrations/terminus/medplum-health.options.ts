import { MedplumConfigError } from '../../errors/medplum-config.error';
import { shownName } from '../../errors/shown';
import { isMilliseconds } from '../../http/milliseconds';

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

/**
 * @internal
 * @throws MedplumConfigError with every problem of the options at once, never with a value.
 */
export function resolveHealthOptions(given: MedplumHealthModuleOptions): Required<MedplumHealthModuleOptions> {
  if (typeof given !== 'object' || given === null) {
    throw new MedplumConfigError('MedplumHealthModule.forRoot() takes an object of options, or nothing.');
  }
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  const problems = said.flatMap(([key, value]) => {
    if (!Object.hasOwn(DEFAULTS, key)) {
      return [`${shownName(key)} is not an option (known: ${Object.keys(DEFAULTS).join(', ')})`];
    }
    return isMilliseconds(value) ? [] : [`${key} must be a number of milliseconds between 1 and 2147483647`];
  });
  if (problems.length > 0) {
    throw new MedplumConfigError(`The options of MedplumHealthModule are wrong:\n- ${problems.join('\n- ')}`);
  }
  return Object.freeze({ ...DEFAULTS, ...Object.fromEntries(said) });
}
