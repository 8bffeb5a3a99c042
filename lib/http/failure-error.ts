import type { MedplumError, MedplumErrorDetails } from '../errors/medplum.error';
import { MedplumProtocolError } from '../errors/response.errors';
import {
  MedplumAbortError,
  MedplumConnectionError,
  MedplumContentTooLargeError,
  MedplumTimeoutError,
  MedplumTlsError,
} from '../errors/transport.errors';
import type { CancelReason } from './deadline';
import { poolClosed, slowPhase, tlsRefused } from './transport-failure';
import { TOO_LARGE, type WireFailure } from './wire';

/** Whether the same call fails whenever it is made. */
export function isInherent(code: string): boolean {
  return code === TOO_LARGE || code === 'REDIRECT_FOLLOWED' || tlsRefused(code);
}

/** Whether the next attempt would fail in the same way. */
export function isFinal(code: string): boolean {
  return poolClosed(code) || isInherent(code);
}

/** The typed error for an attempt that ended before or during its response. */
export function failureError(call: string, failure: WireFailure, details: MedplumErrorDetails): MedplumError {
  const { code, sent, status } = failure;
  if (code === TOO_LARGE) {
    return new MedplumContentTooLargeError(
      `${call}: the response is larger than the client reads. Raise the option maxResponseBytes, or request less.`,
      details,
    );
  }
  if (code === 'REDIRECT_FOLLOWED') {
    return new MedplumProtocolError(
      `${call}: the dispatcher followed a redirect, and took credentials and identity along. Leave out its redirect interceptor.`,
      details,
    );
  }
  if (tlsRefused(code)) {
    return new MedplumTlsError(
      `${call}: the certificate of the server is not trusted (${code}). Nothing was sent.`,
      details,
    );
  }
  const phase = slowPhase(code);
  if (phase) {
    const what =
      phase === 'headers' ? 'the response did not begin in time' : 'the response body stood still for too long';
    return new MedplumTimeoutError(`${call}: ${what} (option ${phase}Timeout).`, { ...details, phase });
  }
  if (status !== undefined) {
    return code === 'CONTENT_ENCODING'
      ? new MedplumProtocolError(
          `${call} was answered with ${status}, but the body cannot be unpacked as its Content-Encoding says. A server or proxy must send gzip, br or no encoding.`,
          details,
        )
      : new MedplumProtocolError(`${call} was answered with ${status}, but the body was cut off (${code}).`, details);
  }
  return new MedplumConnectionError(
    sent
      ? `${call}: the connection to the server broke (${code}).`
      : `${call}: the server could not be reached (${code}). Check baseUrl and the network.`,
    details,
  );
}

/**
 * The typed error for a call that was cancelled.
 *
 * @param call names the call in error messages.
 * @param late what did not happen in time.
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
    return new MedplumConnectionError(`${call} was aborted because the app is shutting down.`, { ...details, cause });
  }
  const why =
    reason === 'abort' ? 'by its signal' : 'because the client of the inbound request hung up (abortOnDisconnect)';
  return new MedplumAbortError(`${call} was aborted ${why}.`, details);
}
