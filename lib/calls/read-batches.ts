import { randomUUID } from 'node:crypto';
import { type EntryResult, entryResults } from '../fhir/bundles';
import type { FhirRequest } from '../fhir/fhir-request';
import { ACCEPT, ACCEPT_AND_CONTENT_TYPE, ROOT } from '../fhir/interactions';
import { type Cancelled, Deadline, type DeadlineWatcher } from '../http/deadline';
import { codeOf } from '../http/pool-wire';
import {
  BATCH_REFUSED,
  type BatchWire,
  TOO_LARGE,
  type Wire,
  WireFailure,
  type WireRequest,
  type WireResponse,
} from '../http/wire';
import { MAX_MILLISECONDS } from '../shared/milliseconds';

/**
 * Most reads in one batch. Medplum works through a batch one entry after the other, so a longer one would keep its first
 * reader waiting.
 */
const MOST_ENTRIES = 20;

/** Longest URL of an entry, in characters. A full batch stays far below 1 MB, the most that Medplum accepts. */
const LONGEST_URL = 8_000;

/** Headers that say something about one response. Medplum ignores them for the entries of a batch. */
const ABOUT_ONE_RESPONSE = /^(?:if-.*|prefer|range|cache-control|pragma)$/;

/** The headers of the response to a batch that also hold for each of its entries. */
const OF_EVERY_ENTRY = new Set(['content-type', 'x-request-id', 'ratelimit', 'retry-after']);

type Result = WireResponse | WireFailure;

/** @internal Whether Medplum answers the entry of a batch as it answers this request by itself. */
export function isBatchable(request: FhirRequest): boolean {
  const { action, method, path, query, body, expects, resourceType, headers } = request;
  return (
    (action === 'read' || action === 'search') &&
    method === 'GET' &&
    body === undefined &&
    (expects === 'instance' || expects === 'bundle') &&
    request.signedUrl === undefined &&
    request.responseKind === undefined &&
    request.notModified === undefined &&
    path.startsWith(`${ROOT}/`) &&
    path.length + query.length < LONGEST_URL &&
    // Reading a Binary by itself takes another way through the server.
    resourceType !== 'Binary' &&
    headers['accept'] === ACCEPT.accept &&
    !Object.keys(headers).some((name) => ABOUT_ONE_RESPONSE.test(name))
  );
}

/**
 * @internal Lets the reads of one tick travel as FHIR batches (option `batchReads`). Each read remains an attempt of its own
 * call, with its own time limit, signal and retries. Reads share a batch only if they have the same group and headers.
 */
export class ReadBatches implements BatchWire {
  readonly #wire: Wire;
  readonly #root: string;
  readonly #outside: <T>(fn: () => T) => T;
  /** Those of this tick that still have room, by group. */
  readonly #open = new Map<string, ReadBatch[]>();
  #ofThisTick: ReadBatch[] = [];

  /**
   * @param basePath of the base URL, with slashes around it.
   * @param outside calls a function outside every scope: a batch belongs to none of its callers.
   */
  constructor(wire: Wire, basePath: string, outside: <T>(fn: () => T) => T) {
    this.#wire = wire;
    this.#root = basePath + ROOT;
    this.#outside = outside;
  }

  exchange(request: WireRequest, deadline: Deadline, group: string): Promise<Result> {
    return new Promise((resolve) => {
      const batch = this.#batchFor(request, group);
      batch.add(new BatchedRead(request, deadline, resolve, batch));
    });
  }

  #batchFor(request: WireRequest, group: string): ReadBatch {
    const open = this.#open.get(group) ?? [];
    const found = open.findIndex((batch) => batch.hasHeadersOf(request));
    const batch = open[found];
    if (batch?.hasRoomFor(request)) {
      return batch;
    }
    const added = new ReadBatch(request);
    open.splice(found < 0 ? 0 : found, batch ? 1 : 0, added);
    this.#open.set(group, open);
    if (this.#ofThisTick.push(added) === 1) {
      // Sends once all promise jobs that are due have run, and those that they lead to.
      void DUE.then(() => process.nextTick(() => this.#send()));
    }
    return added;
  }

  #send(): void {
    const batches = this.#ofThisTick;
    this.#ofThisTick = [];
    this.#open.clear();
    const send = (): void => batches.forEach((batch) => batch.send(this.#wire, this.#root));
    // The only read of its tick is still in the scope of its caller, as it is without batches.
    if (batches.length === 1 && batches[0]?.isOne) {
      send();
    } else {
      this.#outside(send);
    }
  }
}

/** Has run its jobs when those that were due before have run. */
const DUE = Promise.resolve();

/** One read, from its call to its result. */
class BatchedRead implements DeadlineWatcher {
  isSent = false;

  constructor(
    readonly request: WireRequest,
    readonly deadline: Deadline,
    readonly resolve: (result: Result | Promise<Result>) => void,
    readonly batch: ReadBatch,
  ) {
    deadline.watch(this);
  }

  /** Called by the deadline when the call is cancelled. The others of the batch go on. */
  cancel(reason: Cancelled): void {
    this.resolve(new WireFailure(codeOf(reason), this.isSent, undefined, reason, this.batch.id));
    this.batch.leave(this);
  }

  settle(result: Result): void {
    this.deadline.unwatch();
    this.resolve(result);
  }
}

/** Reads that travel together. */
class ReadBatch {
  /** Set when the reads share a request. */
  id: string | undefined;
  /** The reads that wait, by path: equal ones share an entry. */
  readonly #reads = new Map<string, BatchedRead[]>();
  #count = 0;
  readonly #headers: readonly string[];
  #deadline: Deadline | undefined;

  constructor({ headers }: WireRequest) {
    this.#headers = headers;
  }

  /** Whether one read is all that it holds. */
  get isOne(): boolean {
    return this.#count === 1;
  }

  hasHeadersOf({ headers }: WireRequest): boolean {
    const own = this.#headers;
    return (
      headers.length === own.length &&
      headers.every((text, i) => text === own[i] || (own[i - 1] === 'traceparent' && traceOf(text) === traceOf(own[i])))
    );
  }

  hasRoomFor({ path }: WireRequest): boolean {
    return this.#reads.size < MOST_ENTRIES || this.#reads.has(path);
  }

  add(read: BatchedRead): void {
    const { path } = read.request;
    const same = this.#reads.get(path);
    this.#count++;
    if (same) {
      same.push(read);
    } else {
      this.#reads.set(path, [read]);
    }
  }

  /** Forgets a read that was cancelled. The shared request ends when nobody waits for it any more. */
  leave(read: BatchedRead): void {
    const { path } = read.request;
    const others = this.#reads.get(path)?.filter((one) => one !== read) ?? [];
    this.#count--;
    if (others.length > 0) {
      this.#reads.set(path, others);
    } else {
      this.#reads.delete(path);
    }
    if (this.#count === 0) {
      this.#deadline?.abandon();
    }
  }

  send(wire: Wire, root: string): void {
    for (const [first] of this.#reads.values()) {
      if (!first) {
        continue;
      }
      if (this.#count > 1) {
        void this.#share(first, wire, root);
        return;
      }
      first.deadline.unwatch();
      first.resolve(wire.exchange(first.request, first.deadline));
    }
  }

  async #share({ request }: BatchedRead, wire: Wire, root: string): Promise<void> {
    const paths = [...this.#reads.keys()];
    this.id = randomUUID();
    this.#reads.forEach((same) => same.forEach((read) => (read.isSent = true)));
    // The limits of the callers stay their own. Without any caller left, `leave()` ends the request.
    const deadline = (this.#deadline = new Deadline(MAX_MILLISECONDS, undefined));
    const result = await wire.exchange(paths.length === 1 ? request : batchOf(request, paths, root), deadline);
    deadline.dispose();
    const results = paths.length === 1 ? [result] : entriesOf(result, paths.length);
    paths.forEach((path, index) => this.#settle(path, results[index] ?? result));
  }

  #settle(path: string, result: Result): void {
    const reads = this.#reads.get(path) ?? [];
    // Taken before the first reader gets the parsed object, which it may change.
    const text = reads.length > 1 && !(result instanceof WireFailure) ? result.text : '';
    reads.forEach((read, index) =>
      read.settle(
        result instanceof WireFailure
          ? new WireFailure(result.code, result.sent, result.status, result.cause, this.id)
          : new SharedResponse(result, this.id, index === 0 ? undefined : text),
      ),
    );
  }
}

/** A `traceparent` without the span, which is that of one call (W3C Trace Context, section 3.2.2). */
function traceOf(traceparent: string | undefined): string {
  return `${traceparent?.slice(0, 36)}${traceparent?.slice(52)}`;
}

function batchOf({ headers }: WireRequest, paths: readonly string[], root: string): WireRequest {
  const entry = paths.map((path) => ({ request: { method: 'GET', url: path.slice(root.length + 1) } }));
  return {
    method: 'POST',
    path: root,
    headers: ['content-type', ACCEPT_AND_CONTENT_TYPE['content-type'], ...headers],
    body: JSON.stringify({ resourceType: 'Bundle', type: 'batch', entry }),
    stream: false,
  };
}

/** The result of each entry. A result that is not that of a batch counts for all of them. */
function entriesOf(result: Result, count: number): readonly Result[] {
  const all = (same: Result) => Array.from({ length: count }, () => same);
  if (result instanceof WireFailure) {
    // Each response by itself may be small enough.
    return all(result.code === TOO_LARGE ? refusal(result.status, result.cause) : result);
  }
  const { status, text } = result;
  if (status < 200 || status >= 300) {
    const isOfBatch = status >= 400 && status < 500 && status !== 401 && status !== 429;
    return all(isOfBatch ? refusal(status, undefined) : result);
  }
  let bundle: unknown;
  try {
    bundle = JSON.parse(text);
  } catch {
    return all(result);
  }
  const { resourceType, type } = Object(bundle) as Record<string, unknown>;
  const entries = entryResults(bundle as never);
  const isAnswer = resourceType === 'Bundle' && type === 'batch-response' && entries.length === count;
  // Without a status for each entry, nothing says which read a resource belongs to.
  return isAnswer ? entries.map((entry) => new EntryResponse(entry, result)) : all(new EntryResponse(NO_ENTRY, result));
}

const NO_ENTRY: EntryResult = { index: 0, status: 0, ok: false };

/** What was refused is the batch, so its reads go by themselves. */
function refusal(status: number | undefined, cause: unknown): WireFailure {
  return new WireFailure(BATCH_REFUSED, true, status, cause);
}

/** The response to one read, as it would have been without the batch. */
class EntryResponse implements WireResponse {
  readonly status: number;
  readonly json: object | undefined;
  readonly #batch: WireResponse;

  constructor({ status, ok, resource, outcome }: EntryResult, batch: WireResponse) {
    // An entry that does not say how it ended is like a response that was cut off.
    this.status = status === 0 ? batch.status : status;
    this.json = ok ? resource : outcome;
    this.#batch = batch;
  }

  get text(): string {
    return this.json === undefined ? '' : JSON.stringify(this.json);
  }

  header(name: string): string | undefined {
    const value = OF_EVERY_ENTRY.has(name) ? this.#batch.header(name) : undefined;
    // Entries come from behind the check of the identity. A `RateLimit` header is what shows that, even if a proxy drops it.
    return name === 'ratelimit' ? (value ?? '') : value;
  }
}

/** What one of several readers gets: never the same object as another one. */
class SharedResponse implements WireResponse {
  readonly #copy: string | undefined;

  /** @param copy the text to read. Without it, the reader gets the parsed object. */
  constructor(
    readonly shared: WireResponse,
    readonly batchId: string | undefined,
    copy: string | undefined,
  ) {
    this.#copy = copy;
  }

  get status(): number {
    return this.shared.status;
  }

  get json(): object | undefined {
    return this.#copy === undefined ? this.shared.json : undefined;
  }

  get text(): string {
    return this.#copy ?? this.shared.text;
  }

  header(name: string): string | undefined {
    return this.shared.header(name);
  }
}
