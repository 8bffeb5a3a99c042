import type { FileHandle } from 'node:fs/promises';
import { type AuditChainHead, parseChainedLine } from './hash-chain';

const FIRST_READ = 65_536;
const NEWLINE = 0x0a;

/** The end of a file of records. */
export interface AuditFileTail {
  /** In bytes. */
  readonly size: number;
  /** Whether the last line has no newline, because its writer was killed. */
  readonly isTorn: boolean;
  /** The last whole line that is part of a chain, if there is one. */
  readonly head: AuditChainHead | undefined;
  /** The bytes after that line, or the whole file when there is no such line. A newline at the end is included. */
  readonly unchained: Buffer;
}

/** Reads a file backwards from its end until it finds a line of a chain. Without `chained`, it reads only the last byte. */
export async function readTail(handle: FileHandle, chained: boolean): Promise<AuditFileTail> {
  const { size } = await handle.stat();
  for (let length = chained ? FIRST_READ : 1; ; length *= 2) {
    const from = Math.max(0, size - length);
    const bytes = await readFrom(handle, from, size - from);
    const isTorn = bytes.length > 0 && bytes.at(-1) !== NEWLINE;
    const found = chained ? lastChained(bytes, from === 0) : undefined;
    if (found || from === 0 || !chained) {
      const unchained = chained ? bytes.subarray(found?.end ?? 0) : Buffer.alloc(0);
      return { size, isTorn, head: found?.head, unchained };
    }
  }
}

async function readFrom(handle: FileHandle, from: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(buffer, read, length - read, from + read);
    if (bytesRead === 0) {
      break;
    }
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}

/** The last whole line of a chain in `bytes`. Unless `bytes` is the whole file, its first line may be cut off. */
function lastChained(bytes: Buffer, isWhole: boolean): { head: AuditChainHead; end: number } | undefined {
  let end = bytes.lastIndexOf(NEWLINE);
  while (end > 0) {
    const before = bytes.lastIndexOf(NEWLINE, end - 1);
    if (before < 0 && !isWhole) {
      return undefined;
    }
    const line = parseChainedLine(bytes.toString('utf8', before + 1, end));
    if (line) {
      return { head: { n: line.n, mac: line.mac }, end: end + 1 };
    }
    end = before;
  }
  return undefined;
}
