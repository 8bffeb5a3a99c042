/** A JSON object of unknown shape, read key by key: neither a server nor a file keeps to a type. */
export class JsonObject {
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    this.#value = typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  }

  /** The object in a text; an empty one if there is none. */
  static parse(text: string): JsonObject {
    try {
      return new JsonObject(JSON.parse(text));
    } catch {
      return new JsonObject(undefined);
    }
  }

  /** The value as it is, for readers that check it themselves. */
  get(key: string): unknown {
    return Object.hasOwn(this.#value, key) ? this.#value[key] : undefined;
  }

  text(key: string): string | undefined {
    const value = this.get(key);
    return typeof value === 'string' ? value : undefined;
  }

  object(key: string): JsonObject {
    return new JsonObject(this.get(key));
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** The keys. */
  get keys(): readonly string[] {
    return Object.keys(this.#value);
  }

  /** The object itself. */
  get value(): Readonly<Record<string, unknown>> {
    return this.#value;
  }
}
