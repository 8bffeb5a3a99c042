import { createHash } from 'node:crypto';
import { type AuditChainHead, CHAIN_START, type ChainedLine, isIntact, parseChainedLine } from './hash-chain';

const NEWLINE = Buffer.from('\n');

/** What checking the files of a chain found. */
export interface AuditVerification {
  /** Number of lines of the chain that are as they were written. */
  readonly records: number;
  /** Where the chain ends. */
  readonly head: AuditChainHead;
  /** Number of lines that killed processes left unfinished, and that the chain accounts for. */
  readonly torn: number;
  /** The first line that was changed or is missing. */
  readonly problem?: string;
}

/** A line of a file, without its newline. */
export interface AuditFileLine {
  readonly bytes: Buffer;
  /** Whether a newline ends it. */
  readonly isWhole: boolean;
}

/** What the check reads of a record: the fields by which it joins the chain to what was there before. */
interface RecordContent {
  readonly type?: unknown;
  readonly previous?: AuditChainHead;
  readonly unchainedBytes?: unknown;
  readonly unchainedSha256?: unknown;
}

/** Thrown by the rule that a line breaks. Its message is the `problem` of the verification. */
export class ChainProblem extends Error {}

/**
 * Checks the lines of a chain one after the other. Each rule is a method that throws a {@link ChainProblem} when the
 * line breaks it; after that, the check takes no further lines.
 */
export class ChainCheck {
  readonly #key: Buffer;
  /** The heads that were published: `mac` by `n`. */
  readonly #published: ReadonlyMap<number, string>;
  /** `undefined` until the first line of the chain is read. */
  #head: AuditChainHead | undefined;
  #records = 0;
  #torn = 0;
  #file = '';
  /** Number of the line in its file, counted from 1. */
  #line = 0;
  /** The lines since the last record that are not part of the chain. */
  #unchained: Buffer[] = [];

  constructor(key: Buffer, published: readonly AuditChainHead[]) {
    this.#key = key;
    this.#published = new Map(published.map(({ n, mac }) => [n, mac]));
  }

  beginFile(file: string): void {
    this.#file = file;
    this.#line = 0;
  }

  /** @throws ChainProblem */
  addLine({ bytes, isWhole }: AuditFileLine): void {
    this.#line++;
    const line = isWhole ? parseChainedLine(bytes.toString('utf8')) : undefined;
    if (line) {
      this.#addRecord(line);
    } else {
      // The next record has to account for it.
      this.#unchained.push(bytes);
    }
  }

  /**
   * @param isLast whether this is the last file: its last line may be torn, because its writer has not come back yet.
   * @throws ChainProblem
   */
  endFile(isLast: boolean): void {
    const allowed = isLast ? 1 : 0;
    if (this.#unchained.length > allowed) {
      throw this.#notPartOfTheChain(this.#line - this.#unchained.length + 1);
    }
    this.#countTorn();
  }

  /** @throws ChainProblem when the chain ends before a published head. */
  end(): void {
    const { n } = this.#head ?? CHAIN_START;
    const last = Math.max(...this.#published.keys());
    if (last > n) {
      throw new ChainProblem(`records ${n + 1} to ${last} are missing at the end`);
    }
  }

  /** What was found so far. */
  result(problem?: ChainProblem): AuditVerification {
    return {
      records: this.#records,
      head: this.#head ?? CHAIN_START,
      torn: this.#torn,
      ...(problem && { problem: problem.message }),
    };
  }

  #addRecord(line: ChainedLine): void {
    const content = this.#contentOf(line);
    const previous = this.#previousOf(line, content);
    this.#checkNothingIsMissing(line, previous);
    this.#checkIsAsWritten(line, previous);
    this.#checkAccountsForUnchained(content);
    this.#countTorn();
    this.#checkIsAsPublished(line);
    this.#head = { n: line.n, mac: line.mac };
    this.#records++;
  }

  #contentOf(line: ChainedLine): RecordContent {
    try {
      return JSON.parse(line.record) as RecordContent;
    } catch {
      // The error of the parser would quote the record.
      throw this.#notAsWritten(line);
    }
  }

  /** The head that the line follows. The first line of a chain, or of a later file that is checked alone, names it. */
  #previousOf({ n }: ChainedLine, { type, previous }: RecordContent): AuditChainHead {
    const head = this.#head ?? (type === 'start' ? previous : undefined);
    if (!head) {
      throw this.#problem(`the chain has no beginning; records before ${n} are missing`);
    }
    return head;
  }

  #checkNothingIsMissing({ n }: ChainedLine, previous: AuditChainHead): void {
    if (n > previous.n + 1) {
      throw this.#problem(`records ${previous.n + 1} to ${n - 1} are missing before it`);
    }
  }

  #checkIsAsWritten(line: ChainedLine, previous: AuditChainHead): void {
    if (!isIntact(line, previous, this.#key)) {
      throw this.#notAsWritten(line);
    }
  }

  /** A writer that finds lines which are not part of the chain signs their length and hash in its first record. */
  #checkAccountsForUnchained({ unchainedBytes, unchainedSha256 }: RecordContent): void {
    if (this.#unchained.length === 0) {
      return;
    }
    const bytes = Buffer.concat(this.#unchained.flatMap((line, i) => (i === 0 ? [line] : [NEWLINE, line])));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (unchainedBytes !== bytes.length || unchainedSha256 !== sha256) {
      throw this.#notPartOfTheChain(this.#line - this.#unchained.length);
    }
  }

  #checkIsAsPublished({ n, mac }: ChainedLine): void {
    if ((this.#published.get(n) ?? mac) !== mac) {
      throw this.#problem(`record ${n} is not the one whose head was published`);
    }
  }

  #countTorn(): void {
    this.#torn += this.#unchained.length;
    this.#unchained = [];
  }

  #notAsWritten({ n }: ChainedLine): ChainProblem {
    return this.#problem(`record ${n} is not as it was written`);
  }

  #notPartOfTheChain(line: number): ChainProblem {
    return this.#problem('this line is not part of the chain', line);
  }

  #problem(text: string, line = this.#line): ChainProblem {
    return new ChainProblem(`${this.#file}, line ${line}: ${text}`);
  }
}
