import { parseBaseUrl } from '../../../shared/base-url';
import { type Check, type Finding, ok, problem, warning } from '../check';
import type { Setting } from '../doctor-settings';
import type { ServerContext } from './server-context';

/** Whether all settings are there and well-formed, before anything is sent. */
export const settingsCheck: Check<ServerContext> = {
  name: 'settings',
  run(context) {
    const { clientId, clientSecret } = context.settings;
    const findings = [
      ...baseUrlFindings(context),
      ...(clientId ? clientIdFindings(clientId) : [missing('MEDPLUM_CLIENT_ID', '--client-id')]),
      ...(clientSecret ? blanks(clientSecret) : [missing('MEDPLUM_CLIENT_SECRET', '--client-secret-file')]),
      ...environmentFindings(),
    ];
    return findings.length > 0 ? findings : [ok('The base URL, the client id and the secret are set.')];
  },
};

function baseUrlFindings(context: ServerContext): Finding[] {
  const { baseUrl, allowInsecureHttp } = context.settings;
  const why = 'The library refuses such a base URL when the app starts.';
  if (baseUrl.value.includes('@')) {
    // A password with a slash in it reads as a path, so no part of this address is shown or used.
    context.unreachable = 'the base URL contains an @';
    const fix = `Set ${nameOf(baseUrl)} to scheme, host and path only, and give the credentials as MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET.`;
    return [problem('The base URL contains an @, as credentials in a URL do.', why, fix)];
  }
  const parsed = parseBaseUrl(baseUrl.value, allowInsecureHttp);
  if (!('problem' in parsed)) {
    context.address = parsed;
    return blanks(baseUrl);
  }
  const insecure = parseBaseUrl(baseUrl.value, true);
  if ('problem' in insecure) {
    context.unreachable = 'the base URL cannot be used';
    const fix = `Set ${nameOf(baseUrl)} to an address such as https://api.medplum.com/.`;
    return [problem(`The base URL ${parsed.problem}.`, why, fix)];
  }
  context.address = insecure;
  context.insecure = true;
  return [
    problem(
      'The base URL is http:// and its host is not loopback.',
      'The client secret and all records would travel in clear. The library refuses it when the app starts.',
      `Set ${nameOf(baseUrl)} to the https:// address of the server. In a network that you trust, set the option allowInsecureHttp, and run doctor with --allow-insecure-http.`,
    ),
  ];
}

/** How a person can set the base URL: it may not be set at all. */
export function nameOf({ from }: Setting): string {
  return from === 'default' ? 'MEDPLUM_BASE_URL' : from;
}

function clientIdFindings(clientId: Setting): Finding[] {
  if (clientId.value.startsWith('ClientApplication/')) {
    const fix = `Remove "ClientApplication/" from ${clientId.from}.`;
    return [problem('The client id is written as a reference.', 'The server expects the bare id.', fix)];
  }
  if (/[:\s]/.test(clientId.value)) {
    const why = 'The library refuses such an id when the app starts.';
    const fix = `Set ${clientId.from} to the id that the Medplum app shows for the ClientApplication.`;
    return [problem('The client id contains a colon or a blank.', why, fix)];
  }
  return [];
}

function blanks({ value, from }: Setting): Finding[] {
  if (!/^[\s'"]|[\s'"]$/.test(value)) {
    return [];
  }
  return [
    warning(
      `The value of ${from} begins or ends with a blank or a quote.`,
      'The app sends it as it is, and the server then refuses it. Some tools, such as docker run --env-file, keep quotes.',
      `Remove the blank or the quote from ${from}.`,
    ),
  ];
}

function missing(name: string, flag: string): Finding {
  return problem(
    `${name} is not set.`,
    'Without it, the app has no credentials.',
    `Set ${name}, or pass ${flag}. Doctor reads a .env file only if you pass --env-file .env. You find the value in the Medplum app, at the ClientApplication.`,
  );
}

function environmentFindings(): Finding[] {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') {
    return [];
  }
  return [
    problem(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off.',
      'Anyone between the app and Medplum can read the client secret and all records.',
      'Unset it. For a CA of your own, set NODE_EXTRA_CA_CERTS to the file of its certificate.',
    ),
  ];
}
