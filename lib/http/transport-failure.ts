/** Codes of failures before the first byte: the request was certainly not sent. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_INVALID_ARG',
]);

/** Codes of Node's `tls` for untrusted certificates: the handshake failed, so nothing was sent. */
const TLS = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Codes of a pool that was shut down: waiting does not bring it back. */
const CLOSED = new Set(['UND_ERR_CLOSED', 'UND_ERR_DESTROYED']);

/** What a code looks like. Anything else may be a text that quotes a value. */
const CODE = /^\w{1,64}$/;

/** The parts of Node's and undici's errors that the library reads. */
interface FailureParts {
  readonly code?: unknown;
  readonly syscall?: unknown;
  /** Node joins the failures of several addresses of one host in an AggregateError. */
  readonly errors?: unknown;
}

function partsOf(failure: unknown): { readonly code: unknown; readonly syscall: unknown; readonly errors: unknown[] } {
  const { code, syscall, errors } = Object(failure) as FailureParts;
  return { code, syscall, errors: Array.isArray(errors) ? errors : [] };
}

/** The code of a failure, safe to show. */
export function failureCode(failure: unknown): string {
  const { code, errors } = partsOf(failure);
  if (typeof code === 'string') {
    return CODE.test(code) ? code : 'UNKNOWN';
  }
  return errors.length > 0 ? failureCode(errors[0]) : 'UNKNOWN';
}

/**
 * Whether the request of this failure was certainly not sent. Some codes (`EHOSTUNREACH`, `ETIMEDOUT`) occur while
 * connecting and also later; the system call tells which.
 */
export function neverSent(failure: unknown): boolean {
  const { syscall, errors } = partsOf(failure);
  return (
    NEVER_SENT.has(failureCode(failure)) ||
    tlsRefused(failureCode(failure)) ||
    syscall === 'connect' ||
    (errors.length > 0 && errors.every(neverSent))
  );
}

/** Whether the connection pool was closed. A destroyed pool also fails the requests that were under way. */
export function poolClosed(code: string): boolean {
  return CLOSED.has(code);
}

/** Whether the server's certificate is not trusted. The next attempt would fail in the same way. */
export function tlsRefused(code: string): boolean {
  return TLS.has(code);
}

/** The limit of the pool that ended the attempt, if one did. */
export function slowPhase(code: string): 'headers' | 'body' | undefined {
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return 'headers';
  }
  return code === 'UND_ERR_BODY_TIMEOUT' ? 'body' : undefined;
}
