import { isMedplumError, OnBehalfOfRequiredError, type RequestEvent } from 'nestjs-medplum';
import { type Expected, NEVER } from './storm.types';

/** What faults of the server, timeouts and cancellations may end a call with. Anything else is a surprise. */
const TROUBLE = new Set([
  'MedplumAbortError',
  'MedplumTimeoutError',
  'MedplumConnectionError',
  'MedplumProtocolError',
  'MedplumRateLimitError',
  'MedplumServerError',
]);

interface OpenCall {
  readonly expected: Expected;
  events: number;
}

/** How many requests a call has made so far. Each has one event. */
export interface Tally {
  requests: number;
}

/** Checks each call against its response, its error and its events. Keeps nothing of calls that have ended. */
export class Ledger {
  readonly counts = {
    calls: 0,
    succeeded: 0,
    failed: 0,
    refused: 0,
    requests: 0,
    events: 0,
    attempts: 0,
    retries: 0,
    hangUps: 0,
    outerRetries: 0,
    mixUps: 0,
    lostEvents: 0,
    surprises: 0,
  };
  readonly examples: string[] = [];
  readonly #open = new Map<string, OpenCall>();
  readonly #background = new Set<Promise<unknown>>();
  #last = 0;
  #making: string | undefined;

  /** The `auditContext` option: the library asks for it synchronously, so it leads from an event to its call. */
  readonly auditContext = (): { readonly subject: string } | undefined =>
    this.#making === undefined ? undefined : { subject: this.#making };

  /** Makes one call, and checks everything about it. Resolves to whether it succeeded. */
  async make(expected: Expected, call: (name: string, tally: Tally) => Promise<unknown>): Promise<boolean> {
    const name = `${expected.owner}-c${++this.#last}`;
    const open: OpenCall = { expected, events: 0 };
    const tally: Tally = { requests: 1 };
    this.#open.set(name, open);
    this.counts.calls++;
    try {
      const response = await this.#begin(name, () => call(name, tally));
      this.#checkResponse(name, expected, response);
      return true;
    } catch (error) {
      this.#checkError(name, expected, error);
      return false;
    } finally {
      this.counts.requests += tally.requests;
      if (open.events !== tally.requests) {
        this.#lose(`${name} made ${tally.requests} requests and has ${open.events} events`);
      }
      this.#open.delete(name);
    }
  }

  #begin<T>(name: string, call: () => T): T {
    this.#making = name;
    try {
      return call();
    } finally {
      this.#making = undefined;
    }
  }

  /** Takes an event of the library. */
  record(event: RequestEvent): void {
    const name = event.context?.subject ?? 'no name';
    const open = this.#open.get(name);
    this.counts.events++;
    this.counts.attempts += event.attempts.length;
    this.counts.retries += Math.max(0, event.attempts.length - 1);
    if (!open) {
      this.#lose(`an event of ${name} belongs to no open call`);
      return;
    }
    open.events++;
    const { owner, header } = open.expected;
    if (event.afterScope === true && event.attempts.length === 0 && open.expected.isLeftBehind?.() === true) {
      return;
    }
    if (owner === NEVER.owner) {
      if (event.outcome !== 'refused' || event.attempts.length > 0) {
        this.mixUp(`${name} should have been refused, and its event says ${event.outcome}`);
      }
    } else if (
      event.onBehalfOf !== header ||
      event.attempts.some(({ onBehalfOf }) => onBehalfOf !== (header ?? null))
    ) {
      this.mixUp(`the event of ${name} names ${event.onBehalfOf ?? 'the client'}`);
    }
  }

  /** Keeps work that outlives its scene, until {@link Ledger.settle}. */
  later(work: Promise<unknown>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }

  /** Waits for the work that outlived its scene. */
  async settle(): Promise<void> {
    while (this.#background.size > 0) {
      await Promise.all(this.#background);
    }
  }

  mixUp(example: string): void {
    this.counts.mixUps++;
    this.#note(example);
  }

  surprise(example: string): void {
    this.counts.surprises++;
    this.#note(example);
  }

  #lose(example: string): void {
    this.counts.lostEvents++;
    this.#note(example);
  }

  #note(example: string): void {
    if (this.examples.length < 8) {
      this.examples.push(example);
    }
  }

  #checkResponse(name: string, { owner, header }: Expected, response: unknown): void {
    this.counts.succeeded++;
    const text = JSON.stringify(response) ?? '';
    if (owner === NEVER.owner) {
      this.mixUp(`${name} should have been refused, and succeeded`);
    } else if (text !== '' && !isOwn(text, name, header ?? 'client')) {
      this.mixUp(`${name} got the response of another call`);
    }
  }

  #checkError(name: string, { owner, isLeftBehind }: Expected, error: unknown): void {
    const isRefused = error instanceof OnBehalfOfRequiredError;
    if (isRefused && (owner === NEVER.owner || isLeftBehind?.() === true)) {
      this.counts.refused++;
      return;
    }
    this.counts.failed++;
    if (owner === NEVER.owner || !isMedplumError(error) || !TROUBLE.has(error.name)) {
      this.surprise(`${name} failed with ${String(error)}`);
    }
  }
}

/** Whether every resource in the response is that of the call, and was sent to its user. */
function isOwn(text: string, name: string, code: string): boolean {
  const ids = [...text.matchAll(/"id":"([^"]*)"/g)];
  const codes = [...text.matchAll(/"code":"([^"]*)"/g)];
  return ids.length > 0 && ids.every(([, id]) => id === name) && codes.every(([, one]) => one === code);
}
