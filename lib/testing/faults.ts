/** Which requests a fault meets. Everything that is said must fit; an empty match meets every request. */
export interface FaultMatch {
  /** HTTP method, or several. */
  method?: string | readonly string[];
  /** A text that the path (without query) begins with, or a pattern for it. Example: `/fhir/R4/Patient`. */
  path?: string | RegExp;
  /** `X-Medplum-On-Behalf-Of` exactly as received; `null`: only requests without the header. */
  onBehalfOf?: string | null;
}

/** What goes wrong. Without a `status`, `redirect`, `reset` or `hang` the request is answered as usual, after `delayMs`. */
export interface Fault extends FaultMatch {
  /** How many requests it meets before it is spent. Default 1; `Infinity` for all. */
  times?: number;
  /** Waits so many milliseconds first. */
  delayMs?: number;
  /** Answers with this status instead of handling the request. */
  status?: number;
  /** Headers of that answer; with no `status`, headers that replace those of the usual answer. */
  headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Body of the answer with `status`. Default: an OperationOutcome without tracing. A string is sent as it is. */
  body?: unknown;
  /** Answers 307 with this address in `Location`, instead of handling the request. */
  redirect?: string;
  /**
   * Resets the connection: `before-handling` (the request had no effect), `before-answer` (it had its effect, nothing is
   * answered), `in-body` (effect, headers and half of the body).
   */
  reset?: 'before-handling' | 'before-answer' | 'in-body';
  /** Ends the connection after so many bytes of the body, although `Content-Length` promised all of it. */
  truncateAfter?: number;
  /** Handles the request and never answers. */
  hang?: boolean;
  /** Replaces `Content-Type` of the usual answer. */
  contentType?: string;
}

/** A fault that was injected. */
export interface InjectedFault {
  /** How many requests it has met. */
  readonly met: number;
  /** Takes it away. */
  remove(): void;
}

/** What a fault is compared with. */
export interface FaultTarget {
  readonly method: string;
  readonly path: string;
  readonly onBehalfOf: string | undefined;
}

interface Entry {
  readonly fault: Fault;
  met: number;
}

/** The faults of one emulator, in the order of their injection. */
export class FaultInjector {
  private entries: Entry[] = [];

  /** @throws RangeError when `times`, `delayMs`, `status` or `truncateAfter` make no sense. */
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

  /** The first fault that fits and is not spent; it counts as met. */
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
