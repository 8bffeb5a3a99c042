import dns from 'node:dns/promises';
import { doctorCommand } from '../../lib/cli/doctor.command';

/** What one run of `nestjs-medplum doctor` printed. */
export interface DoctorRun {
  readonly exitCode: number | string | undefined;
  /** Standard output. */
  readonly text: string;
  /** The findings of one check, as `level what`, with its fix. */
  of(check: string): { readonly level: string; readonly what: string; readonly why?: string; readonly fix?: string }[];
  readonly json: DoctorJson;
}

/** The JSON report. */
export interface DoctorJson {
  readonly format: string;
  readonly healthy: boolean;
  readonly errors: number;
  readonly warnings: number;
  readonly findings: readonly {
    readonly check: string;
    readonly level: string;
    readonly what: string;
    readonly why?: string;
    readonly fix?: string;
  }[];
  readonly access?: readonly { readonly resourceType: string; readonly may: Readonly<Record<string, string>> }[];
}

const NAMES = ['MEDPLUM_BASE_URL', 'MEDPLUM_CLIENT_ID', 'MEDPLUM_CLIENT_SECRET'] as const;

/** The environment of a client, from its options. */
export function environmentOf(options: { baseUrl: string; clientId: string; clientSecret: string }) {
  return {
    MEDPLUM_BASE_URL: options.baseUrl,
    MEDPLUM_CLIENT_ID: options.clientId,
    MEDPLUM_CLIENT_SECRET: options.clientSecret,
  };
}

/** Runs the command in this process with these variables, and none of those of the process. */
export async function runDoctor(
  args: readonly string[],
  environment: Partial<Record<(typeof NAMES)[number], string>> = {},
): Promise<DoctorRun> {
  const before = { ...process.env };
  const { exitCode } = process;
  let text = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  // No name leaves this machine: every host but localhost is unknown.
  const real = dns.lookup;
  const lookup = jest
    .spyOn(dns, 'lookup')
    .mockImplementation(((hostname: string, options: object) =>
      hostname === 'localhost'
        ? real(hostname, options)
        : Promise.reject(Object.assign(new Error('unknown host'), { code: 'ENOTFOUND' }))) as typeof dns.lookup);
  NAMES.forEach((name) => delete process.env[name]);
  Object.assign(process.env, environment);
  try {
    await doctorCommand.run(args);
    const found = process.exitCode;
    const parsed = (): DoctorJson => JSON.parse(text) as DoctorJson;
    return {
      exitCode: found ?? undefined,
      text,
      of: (check) => parsed().findings.filter((finding) => finding.check === check),
      get json() {
        return parsed();
      },
    };
  } finally {
    write.mockRestore();
    lookup.mockRestore();
    NAMES.forEach((name) => delete process.env[name]);
    Object.assign(process.env, before);
    process.exitCode = exitCode;
  }
}
