import { failureCode, neverSent, slowPhase } from '../../lib/http/transport-failure';

/** As Node joins the failures of the addresses of a host, without a code of its own. */
const joined = (...errors: object[]) => Object.assign(new AggregateError(errors), { errors });

describe('A failure', () => {
  it.each<readonly [string, unknown, string]>([
    ['with a code', { code: 'ECONNRESET' }, 'ECONNRESET'],
    ['of several addresses', joined({ code: 'ETIMEDOUT' }, { code: 'ENETUNREACH' }), 'ETIMEDOUT'],
    ['with a code that is a sentence', { code: 'no such patient' }, 'UNKNOWN'],
    ['with a code that goes on after a line break', { code: 'ECONNRESET\nsecret' }, 'UNKNOWN'],
    ['with a code behind a blank', { code: ' ECONNRESET' }, 'UNKNOWN'],
    ['with an empty code', { code: '' }, 'UNKNOWN'],
    ['with a code that is too long', { code: 'E'.repeat(65) }, 'UNKNOWN'],
    ['with the longest code', { code: 'E'.repeat(64) }, 'E'.repeat(64)],
    ['with a number as its code', { code: 5 }, 'UNKNOWN'],
    ['of no addresses', joined(), 'UNKNOWN'],
    ['that is text', 'ECONNRESET', 'UNKNOWN'],
    ['that is nothing', undefined, 'UNKNOWN'],
  ])('%s has a code that is safe to show', (_what, failure, code) => {
    expect(failureCode(failure)).toBe(code);
  });

  it.each([
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EADDRNOTAVAIL',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_CLOSED',
    'UND_ERR_INVALID_ARG',
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
  ])('%s occurs before the first byte, so nothing was sent', (code) => {
    expect(neverSent({ code })).toBe(true);
  });

  it.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_DESTROYED'])(
    '%s may occur after the request was sent',
    (code) => {
      expect(neverSent({ code })).toBe(false);
    },
  );

  it('of a connection that was being opened means that nothing was sent, whatever its code', () => {
    expect(neverSent({ code: 'ETIMEDOUT', syscall: 'connect' })).toBe(true);
    expect(neverSent({ code: 'ETIMEDOUT', syscall: 'read' })).toBe(false);
  });

  it('of several addresses means that nothing was sent if each of them does', () => {
    const connecting = { code: 'ETIMEDOUT', syscall: 'connect' };
    expect(neverSent(joined(connecting, { code: 'EHOSTUNREACH', syscall: 'connect' }))).toBe(true);
    expect(neverSent(joined(connecting, { code: 'ECONNRESET', syscall: 'read' }))).toBe(false);
    expect(neverSent(joined())).toBe(false);
  });

  it('of a limit of the pool tells which limit it was', () => {
    expect(slowPhase('UND_ERR_HEADERS_TIMEOUT')).toBe('headers');
    expect(slowPhase('UND_ERR_BODY_TIMEOUT')).toBe('body');
    expect(slowPhase('UND_ERR_CONNECT_TIMEOUT')).toBeUndefined();
  });
});
