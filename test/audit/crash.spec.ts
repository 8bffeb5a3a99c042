import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { verifyAuditFiles } from 'nestjs-medplum';
import { seededRandom } from '../support/seeded-random';
import { WireServer } from '../support/wire-server';

const KEY = 'a key of a chain that has 32 bytes, or more';
const SUPPORT = resolve(__dirname, '../support');
const ROUNDS = 5;

interface AuditRecord {
  readonly id?: string;
  readonly type?: string;
  readonly outcome?: string;
  readonly traceId?: string;
}

let directory: string;
let wire: WireServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'audit-crash-'));
  wire = await WireServer.start(({ method }) => ({
    status: method === 'POST' ? 201 : 200,
    body: { resourceType: 'Patient', id: '1' },
  }));
});
afterAll(async () => {
  await wire.close();
  await rm(directory, { recursive: true });
});

/** Runs the program until it has printed this many lines, kills it, and returns everything that it printed. */
async function runAndKill(lines: number): Promise<string[]> {
  const args = [join(SUPPORT, 'run-typescript.cjs'), join(SUPPORT, 'crash-program.ts')];
  const child = spawn(process.execPath, [...args, wire.baseUrl, join(directory, 'audit.log'), KEY], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seen: string[] = [];
  const output = createInterface({ input: child.stdout });
  output.on('line', (line) => {
    // Lines that the pipe still holds after the kill count too: the program printed each one after it had the result.
    seen.push(line);
    if (seen.length === lines) {
      child.kill('SIGKILL');
    }
  });
  const ends = Promise.all([once(output, 'close'), once(child, 'exit')]);
  const [, [code, signal]] = (await ends) as [unknown, [number | null, string | null]];
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
  // The last line may be cut off by the kill.
  return seen.filter((line) => line.length === 36);
}

/** Files of the chain, oldest first. */
async function auditFiles(): Promise<string[]> {
  const names = (await readdir(directory)).toSorted((a, b) => a.localeCompare(b));
  const [current, ...rotated] = names;
  return [...rotated, current ?? ''].map((name) => join(directory, name));
}

function parse(line: string): AuditRecord | undefined {
  try {
    return JSON.parse(line) as AuditRecord;
  } catch {
    return undefined;
  }
}

describe('An app that is killed again and again', () => {
  it('leaves a record of every call whose result it saw, and the intent of every write that it sent', async () => {
    const random = seededRandom();
    const seen: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      seen.push(...(await runAndKill(1 + Math.floor(random() * 150))));
    }
    const files = await auditFiles();
    const lines = (await Promise.all(files.map((file) => readFile(file, 'utf8'))))
      .flatMap((text) => text.split('\n'))
      .filter((line) => line !== '');
    const records = lines.map(parse);
    const whole = records.filter((record) => record !== undefined);
    // A kill tears at most the line that was being written, and no later line is lost with it.
    expect(lines.length - whole.length).toBeLessThanOrEqual(ROUNDS);

    const outcomes = new Map<string, Set<string>>();
    const intents = new Set<string>();
    for (const { id, outcome, traceId } of whole) {
      if (id === undefined || traceId === undefined) {
        continue;
      }
      if (outcome === 'pending') {
        intents.add(traceId);
      } else {
        // Sinks get an event at least once, so records with one id count as one.
        outcomes.set(traceId, (outcomes.get(traceId) ?? new Set()).add(id));
      }
    }
    expect(seen.length).toBeGreaterThanOrEqual(ROUNDS);
    expect(seen.map((traceId) => outcomes.get(traceId)?.size)).toEqual(seen.map(() => 1));

    const writes = wire.requests.filter(({ method }) => method === 'POST');
    const traces = writes.map(({ headers }) => String(headers['x-trace-id']));
    expect(traces.filter((traceId) => !intents.has(traceId))).toEqual([]);

    expect(await verifyAuditFiles(files, KEY)).toMatchObject({
      records: whole.length,
      torn: lines.length - whole.length,
    });
    expect((await verifyAuditFiles(files, KEY)).problem).toBeUndefined();
    expect(files.length).toBeGreaterThan(1);
  }, 120_000);
});
