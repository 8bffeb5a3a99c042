import { createReadStream } from 'node:fs';
import { type AuditFileLine, type AuditVerification, ChainCheck, ChainProblem } from './chain-check';
import { type AuditChainHead, type AuditChainKey, chainKeyBytes } from './hash-chain';

const NEWLINE = 0x0a;

/**
 * Checks the files of one chain. A change that it finds is the `problem` of its result, not an error.
 *
 * @param files paths, the oldest file first.
 * @param key the key that the files were written with.
 * @param heads heads that were published: the files must contain them.
 * @throws MedplumConfigError when the key is shorter than 32 bytes; the error of `node:fs` when a file cannot be read.
 */
export async function verifyAuditFiles(
  files: readonly string[],
  key: AuditChainKey,
  heads: readonly AuditChainHead[] = [],
): Promise<AuditVerification> {
  const check = new ChainCheck(chainKeyBytes(key), heads);
  try {
    for (const file of files) {
      check.beginFile(file);
      for await (const line of linesOf(file)) {
        check.addLine(line);
      }
      check.endFile(file === files.at(-1));
    }
    check.end();
  } catch (error) {
    if (error instanceof ChainProblem) {
      return check.result(error);
    }
    throw error;
  }
  return check.result();
}

/** Splits at newlines only: `readline` also splits at characters that JSON leaves as they are. */
async function* linesOf(file: string): AsyncGenerator<AuditFileLine, undefined> {
  let rest: Buffer[] = [];
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
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
