import { parseArgs } from 'node:util';
import { WrongUsage } from '../cli-command';

/** How long one request or connection may take, in ms, unless `--timeout` says otherwise. */
const DEFAULT_TIMEOUT = 10_000;

/** Text of `--help`. */
export const USAGE = `usage: nestjs-medplum doctor [options]

Checks the Medplum server, the client's credentials and rights, one identity, and the app in the current folder. For each
thing that is wrong, it says why it matters and how to mend it. It changes nothing, and prints no secret.

Server and client, as the app gets them:
  MEDPLUM_BASE_URL               base URL of the server (default https://api.medplum.com/)
  MEDPLUM_CLIENT_ID              id of the ClientApplication
  MEDPLUM_CLIENT_SECRET          its secret
  --env-file <file>              file that sets these variables; variables that are already set win
  --base-url <url>               instead of MEDPLUM_BASE_URL
  --client-id <id>               instead of MEDPLUM_CLIENT_ID
  --client-secret-file <file|->  file with the secret, or - for standard input. There is no flag for the secret itself,
                                 because other users of the machine can read the arguments of a process
  --allow-insecure-http          accept http:// for a host that is not loopback, as the option allowInsecureHttp does
  --skip-server                  check the app only

Identity, as a call would act:
  --membership <id>              id of a ProjectMembership
  --on-behalf-of <reference>     ProjectMembership/<id>, or a profile such as Practitioner/<id>

App:
  --app <folder>                 folder of the app (default: the current one, if its package.json depends on nestjs-medplum)

Output:
  --json                         print the findings as one JSON object
  --timeout <ms>                 limit for one request, in ms (default ${DEFAULT_TIMEOUT})
  --help                         show this text

Exit codes: 0 healthy (there may be warnings), 1 something is broken or not safe, 2 wrong usage.
`;

/** The flags of one run. */
export interface DoctorFlags {
  readonly baseUrl: string | undefined;
  readonly clientId: string | undefined;
  readonly clientSecretFile: string | undefined;
  readonly envFile: string | undefined;
  readonly onBehalfOf: string | undefined;
  readonly app: string | undefined;
  readonly allowInsecureHttp: boolean;
  readonly skipServer: boolean;
  readonly json: boolean;
  readonly help: boolean;
  /** In ms. */
  readonly timeout: number;
}

const text = { type: 'string' } as const;
const yes = { type: 'boolean', default: false } as const;
const OPTIONS = {
  'base-url': text,
  'client-id': text,
  'client-secret-file': text,
  'env-file': text,
  membership: text,
  'on-behalf-of': text,
  app: text,
  timeout: text,
  'allow-insecure-http': yes,
  'skip-server': yes,
  json: yes,
  help: yes,
} as const;

/**
 * Reads the arguments. Error messages never repeat one, because it may be a secret in the wrong place.
 *
 * @throws WrongUsage
 */
export function readFlags(args: readonly string[]): DoctorFlags {
  if (args.some((arg) => /^--client-?secret(?:=|$)/i.test(arg))) {
    throw new WrongUsage(
      'a secret does not belong on the command line, where other users of the machine can read it; set MEDPLUM_CLIENT_SECRET, or pass --client-secret-file <file|->',
    );
  }
  const values = parse(args);
  const { membership, 'on-behalf-of': reference, 'skip-server': skipServer } = values;
  if (membership !== undefined && reference !== undefined) {
    throw new WrongUsage('--membership and --on-behalf-of both name an identity; pass one of them');
  }
  if (membership?.includes('/') === true && !membership.startsWith('ProjectMembership/')) {
    throw new WrongUsage('--membership must be the id of a ProjectMembership; pass a profile with --on-behalf-of');
  }
  const onBehalfOf = membership ?? reference;
  if (skipServer && onBehalfOf !== undefined) {
    throw new WrongUsage('an identity is checked on the server; leave out --skip-server');
  }
  return {
    baseUrl: values['base-url'],
    clientId: values['client-id'],
    clientSecretFile: values['client-secret-file'],
    envFile: values['env-file'],
    onBehalfOf,
    app: values.app,
    allowInsecureHttp: values['allow-insecure-http'],
    skipServer,
    json: values.json,
    help: values.help,
    timeout: milliseconds(values.timeout),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch {
    throw new WrongUsage('there is an argument that doctor does not know, or an option without its value; see --help');
  }
}

function milliseconds(given: string | undefined): number {
  const ms = Number(given ?? DEFAULT_TIMEOUT);
  if (!Number.isInteger(ms) || ms < 1 || ms > 600_000) {
    throw new WrongUsage('--timeout must be a whole number of milliseconds from 1 to 600000');
  }
  return ms;
}
