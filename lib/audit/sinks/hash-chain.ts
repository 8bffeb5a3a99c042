import { createHmac, timingSafeEqual } from 'node:crypto';
import { MedplumConfigError } from '../../errors/medplum-config.error';

/**
 * The secret that signs a chain, at least 32 bytes; a string counts as UTF-8. Whoever has it can forge the files: keep it
 * away from whoever can write them.
 */
export type AuditChainKey = string | Uint8Array;

/** A position in a chain of records. The records up to it can be checked against it. */
export interface AuditChainHead {
  /** Number of the record, counted from 1 across all files of the chain. */
  readonly n: number;
  /** HMAC-SHA-256 of the record and of the one before it, hexadecimal. */
  readonly mac: string;
}

/** Where a chain begins. */
export const CHAIN_START: AuditChainHead = Object.freeze({ n: 0, mac: '0'.repeat(64) });

/** In bytes. A key shorter than the hash weakens an HMAC (RFC 2104, section 3). */
const SHORTEST_KEY = 32;

const LINE = /^(\{.+),"chain":\{"n":(\d{1,15}),"mac":"([\da-f]{64})"\}\}$/s;

/** A parsed line of a chained file. */
export interface ChainedLine extends AuditChainHead {
  /** JSON of the record. */
  readonly record: string;
}

/**
 * The bytes of a key, copied: what is done to the caller's array later does not change the chain.
 *
 * @throws MedplumConfigError when the key is shorter than 32 bytes.
 */
export function chainKeyBytes(key: AuditChainKey): Buffer {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'utf8') : Buffer.from(key);
  if (bytes.length < SHORTEST_KEY) {
    throw new MedplumConfigError(
      `The key of the audit chain is too short, so it could be guessed and the files forged. Use at least ${SHORTEST_KEY} random bytes.`,
    );
  }
  return bytes;
}

/**
 * The line that adds a record to the chain after `previous`, and the new head.
 *
 * @param json the record: an object with at least one field.
 */
export function chainLine(json: string, previous: AuditChainHead, key: Buffer): { line: string; head: AuditChainHead } {
  const n = previous.n + 1;
  const mac = macOf(json, n, previous.mac, key);
  // The end of the line has a fixed form, so the verifier can cut it off and get exactly the bytes that were signed.
  return { line: `${json.slice(0, -1)},"chain":{"n":${n},"mac":"${mac}"}}`, head: { n, mac } };
}

/** The parts of a line. `undefined` when it is not a whole line of a chain. */
export function parseChainedLine(line: string): ChainedLine | undefined {
  const [, begin, n, mac] = LINE.exec(line) ?? [];
  return begin === undefined || mac === undefined ? undefined : { record: `${begin}}`, n: Number(n), mac };
}

/** Whether the line follows `previous` and its writer had the key. */
export function isIntact({ record, n, mac }: ChainedLine, previous: AuditChainHead, key: Buffer): boolean {
  return (
    n === previous.n + 1 &&
    timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(macOf(record, n, previous.mac, key), 'hex'))
  );
}

function macOf(record: string, n: number, previous: string, key: Buffer): string {
  return createHmac('sha256', key).update(`${previous}\n${n}\n${record}`).digest('hex');
}
