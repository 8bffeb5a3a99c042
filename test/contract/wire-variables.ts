import type { Seeded } from './wire-case.types';

/** An earlier case should have captured the value of this placeholder, but did not. */
export class UnresolvedPlaceholder extends Error {}

/** The values behind `{{NAME}}`, `{{NAME.id}}` and `{{NAME|upper}}`. */
export class WireVariables {
  private readonly values: Map<string, string>;

  constructor(seeded: Seeded, run: string) {
    this.values = new Map(Object.entries({ ...seeded.vars, base: seeded.baseUrl, run }));
  }

  set(name: string, value: string): void {
    this.values.set(name, value);
  }

  get(expression: string): string {
    const [name = '', ...filters] = expression.trim().split('|');
    const own = this.values.get(name);
    const reference = name.endsWith('.id') ? this.values.get(name.slice(0, -3)) : undefined;
    const value = own ?? reference?.slice(reference.indexOf('/') + 1);
    if (value === undefined) {
      throw new UnresolvedPlaceholder(`{{${expression}}} has no value: an earlier case of the group failed`);
    }
    return filters.includes('upper') ? value.toUpperCase() : value;
  }

  /** Copies a value and replaces all of its placeholders, even those in keys. */
  fill(value: unknown): unknown {
    if (typeof value === 'string') {
      return value.replace(/\{\{([^{}]+)\}\}/g, (_whole, expression: string) => this.get(expression));
    }
    if (Array.isArray(value)) {
      return value.map((element) => this.fill(element));
    }
    if (value && typeof value === 'object') {
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [String(this.fill(key)), this.fill(inner)]),
      );
    }
    return value;
  }
}
