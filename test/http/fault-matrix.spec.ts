import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  MedplumAbortError,
  MedplumConflictError,
  MedplumConnectionError,
  MedplumGoneError,
  MedplumNotFoundError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumTimeoutError,
  UnknownEffectError,
} from 'nestjs-medplum';
import { attemptsOf, CALL_NAMES, type Fault, type ObservedRow, playFault } from '../support/fault-matrix';
import { asMarkdown, asText, summary } from '../support/fault-table';
import { BROKEN_CONNECTIONS } from './faults/broken-connections';
import { FAILURES } from './faults/failures';
import { SHUTDOWN } from './faults/shutdown';
import { SLOWNESS } from './faults/slowness';
import { UNREACHABLE_SERVERS } from './faults/unreachable';
import { WRONG_ANSWERS } from './faults/wrong-answers';

const faults: readonly Fault[] = [
  ...BROKEN_CONNECTIONS,
  ...SLOWNESS,
  ...FAILURES,
  ...WRONG_ANSWERS,
  ...UNREACHABLE_SERVERS,
  ...SHUTDOWN,
];

/** Class and code of each error, by its name. */
const ERRORS = {
  MedplumAbortError: [MedplumAbortError, 'MEDPLUM_ABORT'],
  MedplumConflictError: [MedplumConflictError, 'MEDPLUM_CONFLICT'],
  MedplumConnectionError: [MedplumConnectionError, 'MEDPLUM_CONNECTION'],
  MedplumGoneError: [MedplumGoneError, 'MEDPLUM_GONE'],
  MedplumNotFoundError: [MedplumNotFoundError, 'MEDPLUM_NOT_FOUND'],
  MedplumPreconditionFailedError: [MedplumPreconditionFailedError, 'MEDPLUM_PRECONDITION_FAILED'],
  MedplumProtocolError: [MedplumProtocolError, 'MEDPLUM_PROTOCOL'],
  MedplumRateLimitError: [MedplumRateLimitError, 'MEDPLUM_RATE_LIMIT'],
  MedplumServerError: [MedplumServerError, 'MEDPLUM_SERVER'],
  MedplumTimeoutError: [MedplumTimeoutError, 'MEDPLUM_TIMEOUT'],
  UnknownEffectError: [UnknownEffectError, 'MEDPLUM_UNKNOWN_EFFECT'],
} as const;

function matching(text: string | RegExp): unknown {
  return expect.stringMatching(typeof text === 'string' ? new RegExp(`^${text}$`) : text);
}

/** The values of one header, line by line. */
function valuesOf(name: string, rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}

const rows: ObservedRow[] = [];

afterAll(() => {
  const reports = join(__dirname, '../../reports');
  mkdirSync(reports, { recursive: true });
  writeFileSync(join(reports, 'fault-matrix.md'), asMarkdown(rows));
  if (process.env['FAULT_MATRIX'] === 'print') {
    // Not through console: Jest would put a stack trace below it.
    process.stdout.write(`\nThe fault matrix, as it was observed\n${asText(rows)}`);
  }
});

describe.each(faults)('$name', (fault) => {
  let row: ObservedRow;

  beforeAll(async () => {
    row = await playFault(fault);
    rows.push(row);
  });

  it.each(CALL_NAMES)('%s', (name) => {
    const cell = row.cells[name];
    const { unsent = 0, unheard = false } = fault;
    expect(summary(cell)).toBe(fault.expected[name]);
    const attempts = attemptsOf(cell);
    expect(attempts).toHaveLength(unheard ? 0 : cell.requests.length + unsent);
    expect(attempts).toEqual(fault.attempts.slice(0, attempts.length).map(matching));
    expect(cell).toMatchObject({ strayed: 0, held: 0, connections: 0, listeners: 0, late: unheard ? 1 : 0 });
    // Each request is for exactly one of the calls.
    expect(cell.calls.flatMap(({ requests }) => requests)).toHaveLength(cell.requests.length);

    for (const { onBehalfOf, error, requests, events } of cell.calls) {
      for (const { rawHeaders } of requests) {
        expect(valuesOf('x-medplum-on-behalf-of', rawHeaders)).toEqual([onBehalfOf]);
        expect(valuesOf('authorization', rawHeaders)).toHaveLength(1);
      }
      const [type, code] = (error && ERRORS[error.name as keyof typeof ERRORS]) ?? [];
      expect(error?.constructor).toBe(type);
      expect(error ?? {}).toMatchObject(error ? { code, ...fault.error } : {});

      const success = { outcome: 'success', effect: name === 'GET' ? 'none' : 'happened', status: 200 };
      const failure = { outcome: 'error', effect: error?.effect, error: { name: error?.name, code } };
      expect(events).toMatchObject(unheard ? [] : [error ? failure : success]);
      for (const event of events) {
        expect(event.status).toBe(error ? error.status : 200);
        const made = event.attempts.map((attempt) => [attempt.attempt, attempt.onBehalfOf]);
        expect(made).toEqual(made.map((_, i) => [i + 1, onBehalfOf]));
      }
    }
  });

  it('leaves nothing behind, and nobody is warned', () => {
    expect(row).toMatchObject({ leaked: [], trouble: [] });
  });
});
