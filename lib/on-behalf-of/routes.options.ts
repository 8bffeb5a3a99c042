import type { Type } from '@nestjs/common';
import type { Module } from '@nestjs/core/injector/module';
import { MedplumConfigError } from '../errors/medplum-config.error';

/** Whether each handler of the app has to say how it acts, and which handlers need not. */
export interface MedplumRoutesOptions {
  /** `enforce`: the app does not start while a handler says nothing. `off`: it does. */
  readonly mode: 'off' | 'enforce';
  /**
   * Handlers that need not say anything, because you cannot decorate them: classes, or `Class` and `Class.handler` as the
   * report names them. Default: none.
   */
  readonly exclude?: readonly (Type | string)[] | undefined;
}

/** Where each client keeps its option `routes`. A value, so that you can read it without starting the app. */
export const ROUTES = Symbol.for('nestjs-medplum:routes');

/** @throws MedplumConfigError when the option `routes` is none. */
export function parseRoutes(given: unknown): MedplumRoutesOptions {
  const options = (typeof given === 'object' && given !== null ? given : { mode: given ?? 'off' }) as Partial<
    Record<keyof MedplumRoutesOptions, unknown>
  >;
  const { mode, exclude = [] } = options;
  const isKnown = (mode === 'off' || mode === 'enforce') && Object.keys(options).every((key) => KEYS.has(key));
  if (!isKnown || !Array.isArray(exclude) || !exclude.every((one) => ['function', 'string'].includes(typeof one))) {
    throw new MedplumConfigError(
      "The option routes must be 'off', 'enforce' or { mode, exclude }, where exclude lists classes, or names such as 'HealthController' and 'HealthController.check'.",
    );
  }
  return { mode, exclude: exclude as (Type | string)[] };
}

const KEYS = new Set<string>(['mode', 'exclude'] satisfies (keyof MedplumRoutesOptions)[]);

/** What the clients of an app together say about its handlers. */
export class RouteRules {
  readonly isEnforced: boolean;
  readonly #excluded: ReadonlySet<Type | string>;

  constructor(modules: Iterable<Module>) {
    const options = [...modules].flatMap(({ providers }) => {
      const given = providers.get(ROUTES)?.instance as MedplumRoutesOptions | null | undefined;
      return given ? [given] : [];
    });
    this.isEnforced = options.some(({ mode }) => mode === 'enforce');
    this.#excluded = new Set(options.flatMap(({ exclude = [] }) => exclude));
  }

  isExcluded(type: Function, place: string): boolean {
    return [type as Type, type.name, place].some((one) => this.#excluded.has(one));
  }
}
