/** Codes of failures before the first byte: the request surely never left. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** Codes of a pool that was shut down: waiting does not bring it back. */
const CLOSED = new Set(['UND_ERR_CLOSED', 'UND_ERR_DESTROYED']);

/** The code of a failure underneath, as it may be shown. */
export function failureCode(failure: unknown): string {
  const { code, errors } = Object(failure) as { code?: unknown; errors?: readonly unknown[] };
  if (typeof code === 'string') {
    return code;
  }
  // Node joins the failures of several addresses of one host in an AggregateError.
  return Array.isArray(errors) && errors.length > 0 ? failureCode(errors[0]) : 'UNKNOWN';
}

/** Whether the request of this failure surely never left. */
export function neverSent(code: string): boolean {
  return NEVER_SENT.has(code);
}

/** Whether the connection pool was closed. */
export function poolClosed(code: string): boolean {
  return CLOSED.has(code);
}
