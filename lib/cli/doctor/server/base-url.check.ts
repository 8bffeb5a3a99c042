import { WireFailure } from '../../../http/wire';
import type { BaseUrl } from '../../../shared/base-url';
import { type Check, ok, problem } from '../check';
import { baseUrlCandidates } from './base-url-candidates';
import { nameOf } from './settings.check';
import type { ServerContext } from './server-context';
import { connectionFix } from './tls.check';

/** Whether Medplum responds at the base URL. If not, the check looks for it at the addresses that people mix up. */
export const baseUrlCheck: Check<ServerContext> = {
  name: 'base-url',
  // An http:// base URL that may not be used is still looked at, without credentials, to find the https:// one.
  skip: ({ unreachable }) => unreachable,
  async run(context) {
    const { address } = context;
    if (!address) {
      return [];
    }
    const given = await findMedplum(context, address);
    if (given === true && !context.insecure) {
      context.baseUrl = address;
      return [ok(`Medplum responds at ${shown(address)}`)];
    }
    const from = nameOf(context.settings.baseUrl);
    for (const candidate of baseUrlCandidates(address)) {
      if ((await findMedplum(context, candidate)) === true) {
        return [elsewhere(context, address, candidate)];
      }
    }
    if (given === true) {
      // The settings check has said why this address may not be used.
      return [];
    }
    context.unreachable = 'no Medplum responds at the base URL';
    if (given instanceof WireFailure) {
      const what = `There is no connection to ${address.origin} (${given.code}).`;
      return [problem(what, 'The app gets MedplumConnectionError for every call.', connectionFix(given.code, from))];
    }
    return [
      problem(
        `${shown(address)} responds with ${given}, but not as Medplum does.`,
        'The library adds paths such as fhir/R4/Patient to the base URL.',
        `Set ${from} to the address of the Medplum API, not of its web app: what comes before /fhir/R4. For Medplum's own cloud that is https://api.medplum.com/.`,
      ),
    ];
  },
};

function elsewhere(context: ServerContext, address: BaseUrl, candidate: BaseUrl) {
  const from = nameOf(context.settings.baseUrl);
  const sameHost = candidate.origin === address.origin;
  if (sameHost && !context.insecure) {
    context.baseUrl = candidate;
  } else {
    context.unreachable = 'credentials are sent only to the host that you named: correct the base URL first';
  }
  return problem(
    `Medplum does not respond at ${shown(address)}, but at ${shown(candidate)}`,
    sameHost
      ? 'The library adds paths such as fhir/R4/Patient and oauth2/token to the base URL itself.'
      : 'Every call of the app fails.',
    `Set ${from} to ${shown(candidate)}`,
  );
}

/** `true` if Medplum responds there, else the status or the failure of the first look. Sends no credentials. */
async function findMedplum(context: ServerContext, base: BaseUrl): Promise<true | number | WireFailure> {
  const health = await context.send(base, 'healthcheck');
  if (health instanceof WireFailure) {
    return health;
  }
  // An unhealthy server responds too.
  if (typeof health.body.get('ok') === 'boolean' && health.body.has('version')) {
    context.version = versionOf(health.body.text('version'));
    context.serverWorks = ['ok', 'postgres', 'redis'].every((part) => health.body.get(part) !== false);
    return true;
  }
  // A proxy may hide the health check.
  const metadata = await context.send(base, 'fhir/R4/metadata');
  if (metadata instanceof WireFailure) {
    return metadata;
  }
  const software = metadata.body.object('software').text('name') ?? '';
  const publisher = metadata.body.text('publisher') ?? '';
  if (metadata.body.text('resourceType') === 'CapabilityStatement' && /medplum/i.test(`${software} ${publisher}`)) {
    context.version = versionOf(metadata.body.text('version'));
    return true;
  }
  return health.status;
}

/** The digits only: the rest is text of the server. */
function versionOf(text: string | undefined): string | undefined {
  return /^\d{1,4}\.\d{1,4}(?:\.\d{1,4})?/.exec(text ?? '')?.[0];
}

function shown({ origin, path }: BaseUrl): string {
  return origin + path;
}
