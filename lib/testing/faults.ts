/** Which requests a fault hits. Every property that you set must match. Without any of them it hits every request. */
export interface FaultMatch {
  /** One HTTP method, or several. */
  method?: string | readonly string[];
  /** The start of the path (without the query), or a pattern for the path. Example: `/fhir/R4/Patient`. */
  path?: string | RegExp;
  /** `X-Medplum-On-Behalf-Of` exactly as received; `null` matches only requests without the header. */
  onBehalfOf?: string | null;
}

/** What goes wrong. Without `status`, `redirect`, `reset` or `hang`, the usual response follows after `delayMs`. */
export interface Fault extends FaultMatch {
  /** How many requests it hits before it is used up. Default 1; `Infinity` for all. */
  times?: number;
  /** Waits this many milliseconds first. */
  delayMs?: number;
  /** Responds with this status instead of handling the request. */
  status?: number;
  /** Headers of that response. Without `status`, they replace headers of the usual response. */
  headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Body of the response with `status`. Default: an OperationOutcome without tracing. A string is sent as it is. */
  body?: unknown;
  /** Responds with this URL in `Location` instead of handling the request. The status is `status`, default 307. */
  redirect?: string;
  /**
   * Resets the connection: `before-handling` (the request has no effect), `before-answer` (the request takes effect, but
   * nothing is sent), `in-body` (the request takes effect, and the headers and half of the body are sent).
   */
  reset?: 'before-handling' | 'before-answer' | 'in-body';
  /** Ends the connection after this many bytes of the body, although `Content-Length` promised all of it. */
  truncateAfter?: number;
  /** Handles the request, but never responds. */
  hang?: boolean;
  /** Replaces `Content-Type` of the response. */
  contentType?: string;
}

/** A fault that was injected. */
export interface InjectedFault {
  /** How many requests it has hit. */
  readonly met: number;
  /** Removes the fault. */
  remove(): void;
}

/** The parts of a request that a fault is matched against. */
export interface FaultTarget {
  readonly method: string;
  readonly path: string;
  readonly onBehalfOf: string | undefined;
}

interface Entry {
  readonly fault: Fault;
  met: number;
}

/** The faults of one emulator, in the order in which they were injected. */
export class FaultInjector {
  private entries: Entry[] = [];

  /** @throws RangeError if `times`, `delayMs`, `status` or `truncateAfter` is out of range. */
  inject(fault: Fault): InjectedFault {
    check('times', fault.times, 1, Number.POSITIVE_INFINITY);
    check('delayMs', fault.delayMs, 0, 2 ** 31 - 1);
    check('status', fault.status, 200, 599);
    check('truncateAfter', fault.truncateAfter, 0, Number.POSITIVE_INFINITY);
    const entry: Entry = { fault: { ...fault }, met: 0 };
    this.entries.push(entry);
    return {
      get met() {
        return entry.met;
      },
      remove: () => {
        this.entries = this.entries.filter((other) => other !== entry);
      },
    };
  }

  clear(): void {
    this.entries = [];
  }

  /** Returns the first fault that matches and is not used up, and counts the hit. */
  take(target: FaultTarget): Fault | undefined {
    const entry = this.entries.find(({ fault, met }) => met < (fault.times ?? 1) && fits(fault, target));
    if (entry) {
      entry.met++;
    }
    return entry?.fault;
  }
}

function fits({ method, path, onBehalfOf }: FaultMatch, target: FaultTarget): boolean {
  const methods = typeof method === 'string' ? [method] : method;
  if (methods && !methods.some((wanted) => wanted.toUpperCase() === target.method)) {
    return false;
  }
  if (typeof path === 'string' && !target.path.startsWith(path)) {
    return false;
  }
  if (path instanceof RegExp && !new RegExp(path.source, path.flags.replace(/[gy]/g, '')).test(target.path)) {
    return false;
  }
  return onBehalfOf === undefined || (onBehalfOf ?? undefined) === target.onBehalfOf;
}

function check(name: string, value: number | undefined, min: number, max: number): void {
  if (value !== undefined && !(value >= min && value <= max)) {
    throw new RangeError(`A fault's ${name} must be a number from ${min} to ${max}, got ${value}`);
  }
}
