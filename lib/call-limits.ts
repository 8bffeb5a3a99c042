import type { FhirRequest } from './fhir/fhir-request';
import { cancelledError } from './http/cancelled-error';
import { Cancelled, Deadline } from './http/deadline';
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
export function disconnectOf({ repeatability }: FhirRequest, { host, inbound }: PinnedState): AbortSignal | undefined {
  return host.abortOnDisconnect && repeatability === 'safe' ? inbound?.disconnect : undefined;
}

/** @internal Where a call is noted to be ended at shutdown; those of sinks are not, as sinks are flushed later than that. */
export function runningCalls({ host, audited }: PinnedState): Set<Deadline> | undefined {
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
  const left = timeLeft(pinned, start);
  const deadline = new Deadline(left, options.signal, disconnectOf(request, pinned), runningCalls(pinned));
  try {
    return await deadline.race(work);
  } catch (cause) {
    if (!(cause instanceof Cancelled)) {
      throw cause;
    }
    const late = `could not be sent within its timeout of ${options.timeout ?? host.timeout} ms.`;
    const retryable = cause.reason === 'timeout' || cause.reason === 'shutdown';
    throw cancelledError(cause.reason, `${request.method} ${request.pathTemplate}`, late, { retryable });
  } finally {
    deadline.dispose();
  }
}
