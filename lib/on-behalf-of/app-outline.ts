const NOTHING_SENT =
  'This call to Medplum has no identity, so it would run with the rights of the client, a project admin. Nothing was sent. ';
const AS_CLIENT = 'If you mean the client itself, say so with asClientApplication() or @AsClientApplication().';

/** The handlers of an app and how far its start is: what tells why a call has no identity. */
export class AppOutline {
  /** Whether Nest has run the hooks of the start. */
  isStarted = false;
  /** Handlers that open scopes, as `Class.method`, by the name of the client. */
  readonly #decorated = new Map<string, Set<string>>();
  /** Field resolvers of GraphQL that open no scope, as `Class.method`. */
  readonly #bareFields = new Set<string>();
  /** Handlers with `@WithoutMedplum()`, as `Class.method`. */
  readonly #without = new Set<string>();

  addHandler(client: string, place: string): void {
    const places = this.#decorated.get(client) ?? new Set();
    this.#decorated.set(client, places.add(place));
  }

  addBareField(place: string): void {
    this.#bareFields.add(place);
  }

  addWithoutMedplum(place: string): void {
    this.#without.add(place);
  }

  /**
   * Why a call of the client has no identity, and what to do about it.
   *
   * @param around names of other clients, in whose scopes the call runs.
   */
  explain(client: string, around: readonly string[]): string {
    return `${NOTHING_SENT}${this.#reason(client, around)} ${AS_CLIENT}`;
  }

  #reason(client: string, around: readonly string[]): string {
    if (around.length > 0) {
      return (
        `It runs in a scope of the client "${around.join('", "')}", and it is a call of the client "${client}". Each client has its own scopes. ` +
        `Decorate the handler for "${client}" as well (the option client of @OnBehalfOf() names it), or pass { onBehalfOf }.`
      );
    }
    if (!this.isStarted) {
      return (
        'It is made before the app has started: in a constructor, in onModuleInit() or the like, where there is no request and no user, whatever is decorated. ' +
        'Make it when a request needs it. For work of the start itself, pass { onBehalfOf }, or use actingAs() or @RunOnBehalfOf().'
      );
    }
    const decorated = [...(this.#decorated.get(client) ?? [])];
    const without =
      this.#without.size === 0
        ? ''
        : ` Handlers with @WithoutMedplum() have no identity (${some([...this.#without])}): if the call belongs to one, put @OnBehalfOf() in its place.`;
    if (decorated.length === 0) {
      return `No handler of this app is decorated for the client "${client}". Decorate the handler with @OnBehalfOf(), or pass { onBehalfOf }.${without}`;
    }
    return (
      `Handlers are decorated for this client (${some(decorated)}), but the call is made outside of their scopes. ` +
      'If the handler that it belongs to is one of them, it is made too early or too late: a scope begins after the guards and after the interceptors that run first (global ones, and those below @OnBehalfOf()), and it does not cover exception filters. ' +
      'Move the call into the handler or a pipe, or pass { onBehalfOf } there. ' +
      (this.#bareFields.size === 0
        ? ''
        : `GraphQL calls field resolvers outside of the scope of their query (${some([...this.#bareFields])}): decorate them and set fieldResolverEnhancers, or use @RunOnBehalfOf(). `) +
      'If it is none of them, decorate it with @OnBehalfOf(). In a job, a timer or an event listener, use @RunOnBehalfOf().' +
      without
    );
  }
}

function some(places: readonly string[]): string {
  const more = places.length - 1;
  return more === 0 ? `${places[0]}` : `${places[0]} and ${more} more`;
}
