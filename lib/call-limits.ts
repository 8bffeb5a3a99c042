import type { FhirRequest } from './fhir/fhir-request';
import { cancelledError } from './http/cancelled-error';
import { Cancelled, Deadline } from './http/deadline';
import { MAX_MILLISECONDS } from './http/milliseconds';
import type { RunningCalls } from './http/running-calls';
import type { PinnedState } from './pinned-state';

/**
 * @internal How much of the time of a call is left, in ms. All waiting counts.
 *
 * @param start when the request began, by the monotonic clock.
 */
export function timeLeft({ host, options, wholeSince }: PinnedState, start: number): number {
  return Math.max(1, (options.timeout ?? host.timeout) - (performance.now() - (wholeSince ?? start)));
}

/** @internal Aborted when whom a request is made for has gone away. A write is finished whoever has. */
export function disconnectOf(
  { repeatability }: Pick<FhirRequest, 'repeatability'>,
  { host, inbound }: PinnedState,
): AbortSignal | undefined {
  return host.abortOnDisconnect && repeatability === 'safe' ? inbound?.disconnect : undefined;
}

/** @internal Where a call is noted to be ended at shutdown; those of sinks are not, as sinks are flushed later than that. */
export function runningCalls({ host, audited }: PinnedState): RunningCalls | undefined {
  return audited.fromSink ? undefined : host.running;
}

/**
 * @internal `work` that comes before a request is sent, within the limits of its call.
 *
 * @throws MedplumTimeoutError, MedplumAbortError, MedplumConnectionError when it is given up.
 */
export async function withinLimits<T>(
  work: Promise<T>,
  request: FhirRequest,
  pinned: PinnedState,
  start: number,
): Promise<T> {
  const { host, options } = pinned;
  const deadline = new Deadline(
    timeLeft(pinned, start),
    options.signal,
    disconnectOf(request, pinned),
    runningCalls(pinned),
  );
  const late = `could not be sent within its timeout of ${options.timeout ?? host.timeout} ms.`;
  return within(deadline, deadline.race(work), `${request.method} ${request.pathTemplate}`, late);
}

/**
 * @internal Waits between two requests of a call, for `ms`.
 *
 * @param what how error texts name it.
 * @throws MedplumAbortError, MedplumConnectionError when the call is given up meanwhile.
 */
export function pauseWithin(ms: number, what: string, pinned: PinnedState): Promise<void> {
  const disconnect = disconnectOf({ repeatability: 'safe' }, pinned);
  const deadline = new Deadline(MAX_MILLISECONDS, pinned.options.signal, disconnect, runningCalls(pinned));
  return within(deadline, sleep(deadline, ms), what, '');
}

async function sleep(deadline: Deadline, ms: number): Promise<void> {
  if (!(await deadline.sleep(ms))) {
    throw new Cancelled('shutdown');
  }
}

async function within<T>(deadline: Deadline, work: Promise<T>, what: string, late: string): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof Cancelled)) {
      throw cause;
    }
    const retryable = cause.reason === 'timeout' || cause.reason === 'shutdown';
    throw cancelledError(cause.reason, what, late, { retryable });
  } finally {
    deadline.dispose();
  }
}
