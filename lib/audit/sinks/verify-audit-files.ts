import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type AuditChainHead, CHAIN_START, isIntact, parseChainedLine } from './hash-chain';

/** What a check of chained files found. */
export interface AuditVerification {
  /** Lines of the chain that are as they were written. */
  readonly records: number;
  /** Where the chain ends. */
  readonly head: AuditChainHead;
  /** Unfinished lines of killed processes, which the chain accounts for. */
  readonly torn: number;
  /** The first line that is not as it was written, or is missing. */
  readonly problem?: string;
}

interface Beginning {
  readonly type?: unknown;
  readonly previous?: AuditChainHead;
  readonly unchainedBytes?: unknown;
  readonly unchainedSha256?: unknown;
}

/**
 * Checks files of one chain, oldest first.
 *
 * @param heads heads that were published: the files must contain them.
 */
export async function verifyAuditFiles(
  files: readonly string[],
  key: Buffer,
  heads: readonly AuditChainHead[] = [],
): Promise<AuditVerification> {
  const expected = new Map(heads.map(({ n, mac }) => [n, mac]));
  let head: AuditChainHead | undefined;
  let records = 0;
  let torn = 0;
  const end = (problem?: string): AuditVerification => ({
    records,
    head: head ?? CHAIN_START,
    torn,
    ...(problem === undefined ? {} : { problem }),
  });
  for (const file of files) {
    let number = 0;
    let unchained: Buffer[] = [];
    for await (const { bytes, isWhole } of linesOf(file)) {
      number++;
      const where = `${file}, line ${number}`;
      const line = isWhole ? parseChainedLine(bytes.toString('utf8')) : undefined;
      if (!line) {
        unchained.push(bytes);
        continue;
      }
      const record = beginningOf(line.record);
      if (!record) {
        return end(`${where}: record ${line.n} is not as it was written`);
      }
      const previous = head ?? (record.type === 'start' ? record.previous : undefined);
      if (!previous) {
        return end(`${where}: the chain has no beginning; records before ${line.n} are missing`);
      }
      if (line.n > previous.n + 1) {
        return end(`${where}: records ${previous.n + 1} to ${line.n - 1} are missing before it`);
      }
      if (!isIntact(line, previous, key)) {
        return end(`${where}: record ${line.n} is not as it was written`);
      }
      if (unchained.length > 0 && !explains(record, unchained)) {
        return end(`${file}, line ${number - unchained.length}: this line is not part of the chain`);
      }
      torn += unchained.length;
      unchained = [];
      const known = expected.get(line.n);
      if (known !== undefined && known !== line.mac) {
        return end(`${where}: record ${line.n} is not the one whose head was published`);
      }
      head = { n: line.n, mac: line.mac };
      records++;
    }
    // The last line of the last file may be torn: its writer has not come back yet.
    if (unchained.length > 1 || (unchained.length === 1 && file !== files.at(-1))) {
      return end(`${file}, line ${number - unchained.length + 1}: this line is not part of the chain`);
    }
    torn += unchained.length;
  }
  const last = head?.n ?? 0;
  const missing = heads.filter(({ n }) => n > last).map(({ n }) => n);
  return missing.length > 0 ? end(`records ${last + 1} to ${Math.max(...missing)} are missing at the end`) : end();
}

/** `undefined` for what is no JSON: the error of the parser would quote the record. */
function beginningOf(record: string): Beginning | undefined {
  try {
    return JSON.parse(record) as Beginning;
  } catch {
    return undefined;
  }
}

/** Whether the record accounts for the lines before it: they were there when its writer began. */
function explains({ unchainedBytes, unchainedSha256 }: Beginning, lines: readonly Buffer[]): boolean {
  const bytes = Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from('\n'), line])));
  return unchainedBytes === bytes.length && unchainedSha256 === createHash('sha256').update(bytes).digest('hex');
}

/** Lines by their newlines alone: readline also ends lines at characters that JSON keeps as they are. */
async function* linesOf(file: string): AsyncGenerator<{ bytes: Buffer; isWhole: boolean }, undefined> {
  let rest: Buffer[] = [];
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      yield { bytes: Buffer.concat([...rest, chunk.subarray(from, end)]), isWhole: true };
      rest = [];
      from = end + 1;
    }
    rest.push(chunk.subarray(from));
  }
  const bytes = Buffer.concat(rest);
  if (bytes.length > 0) {
    yield { bytes, isWhole: false };
  }
  return undefined;
}
