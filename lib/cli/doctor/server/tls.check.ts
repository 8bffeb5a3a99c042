import { isIP } from 'node:net';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { failureCode } from '../../../http/transport-failure';
import { type Check, type Finding, ok, problem, warning } from '../check';
import { nameOf } from './settings.check';
import type { ServerContext } from './server-context';

/** A certificate that expires sooner gets a warning, in days. */
const SOON = 14;
const DAY = 86_400_000;

/** Whether Node trusts the certificate of the server, and for how long. Nothing is sent over the connection. */
export const tlsCheck: Check<ServerContext> = {
  name: 'tls',
  skip: ({ address, unreachable }) =>
    unreachable ?? (address?.origin.startsWith('http:') ? 'the base URL is http://' : undefined),
  async run(context) {
    const { hostname, port } = new URL(context.address?.origin ?? '');
    const host = hostname.replace(/^\[|\]$/g, '');
    const result = await handshake(host, Number(port || 443), context.settings.timeout);
    if ('code' in result) {
      return [noHandshake(context, result.code)];
    }
    return [judged(context, result)];
  },
};

interface Handshake {
  /** Why Node does not trust the certificate; `undefined` if it does. */
  readonly refusal: string | undefined;
  readonly validTo: number;
}

function handshake(host: string, port: number, timeout: number): Promise<Handshake | { readonly code: string }> {
  return new Promise((resolve) => {
    // Untrusted certificates are let through here so that their dates can be read, whatever else is wrong with them.
    const servername = isIP(host) > 0 ? {} : { servername: host };
    const socket: TLSSocket = connect({
      host,
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...servername,
    });
    const end = (result: Handshake | { readonly code: string }): void => {
      resolve(result);
      socket.destroy();
    };
    socket.setTimeout(timeout, () => end({ code: 'ETIMEDOUT' }));
    socket.on('error', (error) => end({ code: failureCode(error) }));
    socket.once('secureConnect', () => {
      const { valid_to: validTo }: PeerCertificate = socket.getPeerCertificate();
      end({ refusal: refusalOf(socket), validTo: Date.parse(validTo) });
    });
  });
}

/** Node's types promise an Error, but Node sets its code. */
function refusalOf({ authorized, authorizationError: error }: TLSSocket): string | undefined {
  if (authorized) {
    return undefined;
  }
  return typeof error === 'string' ? error : failureCode(error);
}

function judged(context: ServerContext, { refusal, validTo }: Handshake): Finding {
  const days = Math.floor((validTo - Date.now()) / DAY);
  const date = Number.isNaN(validTo) ? 'an unknown date' : new Date(validTo).toISOString().slice(0, 10);
  if (refusal !== undefined) {
    context.unreachable = 'the certificate of the server is not trusted';
    return problem(
      `The certificate is not trusted (${refusal}).`,
      'The library refuses the connection.',
      trust(refusal, date),
    );
  }
  if (days < SOON) {
    return warning(
      `The certificate is trusted, but expires on ${date}.`,
      'From then on, the library refuses the connection.',
      'Renew the certificate on the server, and check why it was not renewed automatically.',
    );
  }
  return ok(`The certificate is trusted and valid until ${date}.`);
}

function trust(refusal: string, date: string): string {
  if (refusal === 'CERT_HAS_EXPIRED') {
    return `Renew the certificate on the server: it expired on ${date}. If that is in the future, correct the clock of this machine.`;
  }
  if (refusal === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'The certificate is for another host: use the host that it names, or get a certificate for this one.';
  }
  return 'If a CA of your own issued it, set NODE_EXTRA_CA_CERTS to the file of that CA. Else install the whole chain on the server, intermediate certificates included.';
}

function noHandshake(context: ServerContext, code: string): Finding {
  const from = nameOf(context.settings.baseUrl);
  if (['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'].includes(code)) {
    return problem(
      `The server does not speak TLS on this port (${code}).`,
      'The library cannot connect.',
      `Correct the port in ${from}, or write http:// if the server runs on this machine without TLS.`,
    );
  }
  context.unreachable = 'there is no connection to the server';
  return problem(
    `There is no TLS connection to the server (${code}).`,
    'The app gets MedplumConnectionError for every call.',
    connectionFix(code, from),
  );
}

/** How to mend a connection that fails with this code. */
export function connectionFix(code: string, from: string): string {
  if (code === 'ECONNREFUSED') {
    return `Nothing listens there: start the server, or correct host and port in ${from}. Inside a container, localhost is the container itself.`;
  }
  const proxy = process.env.HTTPS_PROXY ?? process.env.https_proxy;
  return proxy === undefined
    ? `Check host and port in ${from}, and that a firewall lets this machine through.`
    : 'HTTPS_PROXY is set, but the library connects directly. If you need the proxy, pass a ProxyAgent of undici as the option dispatcher.';
}
