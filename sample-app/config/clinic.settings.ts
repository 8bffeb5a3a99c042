import { randomBytes } from 'node:crypto';

/** Everything that the environment says, checked. */
export interface ClinicSettings {
  readonly production: boolean;
  readonly host: string;
  readonly port: number;
  /** Signs the session cookies. */
  readonly sessionSecret: string;
  /** A Medplum server; `undefined`: the app starts an embedded one. */
  readonly medplum: MedplumSettings | undefined;
  /** JSON file of those who may log in when `medplum` is a real server. */
  readonly usersFile: string | undefined;
}

/** Address and credentials of a Medplum server. */
export interface MedplumSettings {
  readonly baseUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** The environment cannot be used as it is. The message names variables, never values. */
export class ClinicSettingsError extends Error {
  constructor(problems: readonly string[]) {
    super(`The clinic cannot start with this environment:\n- ${problems.join('\n- ')}`);
    this.name = 'ClinicSettingsError';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Set together, or not at all. */
export const MEDPLUM_VARIABLES = ['MEDPLUM_BASE_URL', 'MEDPLUM_CLIENT_ID', 'MEDPLUM_CLIENT_SECRET'] as const;
const SHORTEST_SECRET = 32;

/**
 * Reads the environment.
 *
 * @throws ClinicSettingsError with every problem at once.
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
      'SESSION_SECRET is missing: in production sessions must outlive a restart, e.g. openssl rand -hex 32.',
    );
  }
  if (sessionSecret !== undefined && sessionSecret.length < SHORTEST_SECRET) {
    problems.push(`SESSION_SECRET must have at least ${SHORTEST_SECRET} characters, e.g. openssl rand -hex 32.`);
  }
  const usersFile = value('CLINIC_USERS_FILE');
  if (usersFile !== undefined && !MEDPLUM_VARIABLES.some(value)) {
    problems.push(`CLINIC_USERS_FILE is for a real Medplum server only: set ${MEDPLUM_VARIABLES.join(', ')} as well.`);
  }
  if (problems.length > 0) {
    throw new ClinicSettingsError(problems);
  }
  return {
    production,
    // Demo passwords are printed to a terminal, so nobody outside this machine should be able to try them.
    host: value('HOST') ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port,
    sessionSecret: sessionSecret ?? randomBytes(SHORTEST_SECRET).toString('hex'),
    medplum,
    usersFile,
  };
}

/** One of the three asks for a real server, and then half of its credentials must not fall back to the embedded one. */
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
      `Missing: ${missing.join(', ')}. In production there is no embedded Medplum and there are no demo logins.`,
    );
  } else if (missing.length < MEDPLUM_VARIABLES.length) {
    problems.push(
      `Missing: ${missing.join(', ')}. Set all three for a real Medplum server, or none for the embedded one.`,
    );
  }
  return undefined;
}
