import type { MedplumErrorDetails } from '../errors/medplum.error';
import { MedplumAbortError, MedplumConnectionError, MedplumTimeoutError } from '../errors/transport.errors';
import type { CancelReason } from './deadline';

/**
 * The typed error for a call that was given up from our side.
 *
 * @param call how error texts name it.
 * @param late what was not done in time.
 */
export function cancelledError(
  reason: CancelReason,
  call: string,
  late: string,
  details?: MedplumErrorDetails,
): MedplumTimeoutError | MedplumAbortError | MedplumConnectionError {
  if (reason === 'timeout') {
    return new MedplumTimeoutError(`${call} ${late}`, details);
  }
  if (reason === 'shutdown') {
    const cause = { code: 'SHUTDOWN' };
    return new MedplumConnectionError(`${call} was cut off because the app shuts down.`, { ...details, cause });
  }
  const why =
    reason === 'abort' ? 'by its signal' : 'because the client of the incoming request went away (abortOnDisconnect)';
  return new MedplumAbortError(`${call} was aborted ${why}.`, details);
}
