import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MedplumEmulator, type EmulatorFixtures } from 'nestjs-medplum/testing';
import type { Seeded, WireCase } from './wire-case.types';

/** The server that the recorded cases are replayed on. */
export interface ContractServer {
  readonly name: string;
  readonly seeded: Seeded;
  /** Where the server is reached. It may write another address into its responses. */
  readonly baseUrl: string;
  close(): Promise<void>;
}

const read = (name: string): string => readFileSync(join(__dirname, name), 'utf8');

/** The recorded cases, in the order in which they were recorded. */
export function contractCases(): readonly WireCase[] {
  return ['wire-cases.json', 'wire-cases-2.json'].flatMap(
    (name) => (JSON.parse(read(name)) as { cases: WireCase[] }).cases,
  );
}

/** What has to exist on the server before the cases run. */
export function contractFixtures(): EmulatorFixtures {
  return JSON.parse(read('wire-fixtures.json')) as EmulatorFixtures;
}

/** Whether `npm run test:contract` chose a real server. */
export const isRealServer = process.env['CONTRACT_SEEDED'] !== undefined;

/** The real server that `npm run test:contract` chose, or an embedded Medplum. */
export async function startContractServer(): Promise<ContractServer> {
  const { CONTRACT_SEEDED: file, CONTRACT_BASE: base } = process.env;
  if (file !== undefined) {
    const seeded = JSON.parse(readFileSync(file, 'utf8')) as Seeded;
    return {
      name: 'a real server',
      seeded,
      baseUrl: withSlash(base ?? seeded.baseUrl),
      close: () => Promise.resolve(),
    };
  }
  const emulator = await MedplumEmulator.start({ fixtures: contractFixtures() });
  return {
    name: 'the embedded Medplum',
    seeded: emulator.seeded(),
    baseUrl: emulator.baseUrl,
    close: () => emulator.close(),
  };
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}
