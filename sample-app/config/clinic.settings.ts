import { randomBytes } from 'node:crypto';

/** The settings from the environment, after all checks. */
export interface ClinicSettings {
  readonly production: boolean;
  readonly host: string;
  readonly port: number;
  /** Signs the session cookies. */
  readonly sessionSecret: string;
  /** A Medplum server; `undefined` if the app should start an embedded one. */
  readonly medplum: MedplumSettings | undefined;
  /** JSON file of the users who may log in if `medplum` is a real server. */
  readonly usersFile: string | undefined;
}

/** Address and credentials of a Medplum server. */
export interface MedplumSettings {
  readonly baseUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** The environment is not usable. The message names variables, but never their values. */
export class ClinicSettingsError extends Error {
  constructor(problems: readonly string[]) {
    super(`The clinic cannot start with this environment:\n- ${problems.join('\n- ')}`);
    this.name = 'ClinicSettingsError';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Either all of them are set, or none. */
export const MEDPLUM_VARIABLES = ['MEDPLUM_BASE_URL', 'MEDPLUM_CLIENT_ID', 'MEDPLUM_CLIENT_SECRET'] as const;
const MIN_SECRET_LENGTH = 32;

/**
 * Reads the environment.
 *
 * @throws ClinicSettingsError that lists every problem.
 */
export function readClinicSettings(environment: Environment): ClinicSettings {
  const value = (name: string): string | undefined => environment[name]?.trim() || undefined;
  const problems: string[] = [];
  const production = value('NODE_ENV') === 'production';
  const medplum = readMedplum(value, production, problems);
  const port = Number(value('PORT') ?? 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    problems.push('PORT must be a whole number from 0 (any free port) to 65535.');
  }
  const sessionSecret = value('SESSION_SECRET');
  if (sessionSecret === undefined && production) {
    problems.push(
      'SESSION_SECRET is missing, but in production sessions must survive a restart. Make one with: openssl rand -hex 32.',
    );
  }
  if (sessionSecret !== undefined && sessionSecret.length < MIN_SECRET_LENGTH) {
    problems.push(
      `SESSION_SECRET must have at least ${MIN_SECRET_LENGTH} characters. Make one with: openssl rand -hex 32.`,
    );
  }
  const usersFile = value('CLINIC_USERS_FILE');
  if (usersFile !== undefined && !MEDPLUM_VARIABLES.some(value)) {
    problems.push(
      `CLINIC_USERS_FILE works only with a real Medplum server. Set ${MEDPLUM_VARIABLES.join(', ')} as well.`,
    );
  }
  if (problems.length > 0) {
    throw new ClinicSettingsError(problems);
  }
  return {
    production,
    // Demo passwords are printed to a terminal, so nobody outside of this machine should be able to try them.
    host: value('HOST') ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port,
    sessionSecret: sessionSecret ?? randomBytes(MIN_SECRET_LENGTH).toString('hex'),
    medplum,
    usersFile,
  };
}

/** One of the three variables asks for a real server. Incomplete credentials must not fall back to the embedded one. */
function readMedplum(
  value: (name: string) => string | undefined,
  production: boolean,
  problems: string[],
): MedplumSettings | undefined {
  const [baseUrl, clientId, clientSecret] = MEDPLUM_VARIABLES.map(value);
  if (baseUrl && clientId && clientSecret) {
    return { baseUrl, clientId, clientSecret };
  }
  const missing = MEDPLUM_VARIABLES.filter((name) => !value(name));
  if (production) {
    problems.push(
      `Missing: ${missing.join(', ')}. Production needs a real Medplum server. Set all three of its variables.`,
    );
  } else if (missing.length < MEDPLUM_VARIABLES.length) {
    problems.push(
      `Missing: ${missing.join(', ')}. Set all three for a real Medplum server, or none for the embedded one.`,
    );
  }
  return undefined;
}
