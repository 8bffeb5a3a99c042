import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { isMedplumError } from '../../errors/medplum.error';
import { type OnBehalfOfReference, parseOnBehalfOf } from '../../on-behalf-of/on-behalf-of.reference';
import { WrongUsage } from '../cli-command';
import type { DoctorFlags } from './doctor-flags';

/** Where the library sends requests if nobody says otherwise. */
const DEFAULT_BASE_URL = 'https://api.medplum.com/';

/** A value, and the name under which the person gave it. */
export interface Setting {
  readonly value: string;
  /** `MEDPLUM_BASE_URL`, `--base-url` … */
  readonly from: string;
}

/** What the checks of the server work with. */
export interface ServerSettings {
  readonly baseUrl: Setting;
  readonly clientId: Setting | undefined;
  readonly clientSecret: Setting | undefined;
  readonly allowInsecureHttp: boolean;
  /** The identity to check; `undefined` if none was named. */
  readonly onBehalfOf: OnBehalfOfReference | undefined;
  /** In ms. */
  readonly timeout: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings from flags, environment and files. The values stay as they are, blanks included, because the app
 * would send them so.
 *
 * @throws WrongUsage when a file cannot be read, or the identity is malformed. No message repeats a value.
 */
export function readServerSettings(flags: DoctorFlags, environment: Environment): ServerSettings {
  const fromFile = flags.envFile === undefined ? {} : parseEnv(readText('--env-file', flags.envFile));
  const setting = (name: string, flag?: string, given?: string): Setting | undefined => {
    const value = given ?? (environment[name] || fromFile[name]);
    return value ? { value, from: given === undefined ? name : (flag ?? name) } : undefined;
  };
  const clientId = setting('MEDPLUM_CLIENT_ID', '--client-id', flags.clientId);
  const secretFile = flags.clientSecretFile;
  return {
    baseUrl: setting('MEDPLUM_BASE_URL', '--base-url', flags.baseUrl) ?? { value: DEFAULT_BASE_URL, from: 'default' },
    clientId,
    clientSecret:
      secretFile === undefined
        ? setting('MEDPLUM_CLIENT_SECRET')
        : setting('', '--client-secret-file', readSecret(secretFile)),
    allowInsecureHttp: flags.allowInsecureHttp,
    onBehalfOf: identityOf(flags.onBehalfOf, clientId?.value ?? ''),
    timeout: flags.timeout,
  };
}

function readSecret(file: string): string {
  if (file === '-' && process.stdin.isTTY) {
    throw new WrongUsage('the terminal would show the secret; pipe it to --client-secret-file -, or name a file');
  }
  // One line break at the end comes from the editor, not from Medplum.
  return readText('--client-secret-file', file === '-' ? 0 : file).replace(/\r?\n$/, '');
}

function readText(flag: string, file: string | number): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new WrongUsage(`${flag}: the file cannot be read; check that it exists and that you may read it`);
  }
}

function identityOf(given: string | undefined, clientId: string): OnBehalfOfReference | undefined {
  try {
    return given === undefined ? undefined : parseOnBehalfOf(given, 'The identity', clientId);
  } catch (error) {
    throw new WrongUsage(isMedplumError(error) ? error.message : 'the identity cannot be read');
  }
}
