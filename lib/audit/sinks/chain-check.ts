import { createHash } from 'node:crypto';
import { type AuditChainHead, CHAIN_START, type ChainedLine, isIntact, parseChainedLine } from './hash-chain';

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
  readonly #published: readonly AuditChainHead[];
  /** The published heads whose records were not read yet. */
  #unmet: readonly AuditChainHead[];
  /** `undefined` until the first line of the chain is read. */
  #head: AuditChainHead | undefined;
  #records = 0;
  #torn = 0;
  #file = '';
  /** Number of the line in its file, counted from 1. */
  #line = 0;
  /** The lines since the last record that are not part of the chain. */
  #unchained: AuditFileLine[] = [];

  constructor(key: Buffer, published: readonly AuditChainHead[]) {
    this.#key = key;
    this.#published = published;
    this.#unmet = published.filter(({ n, mac }) => n !== CHAIN_START.n || mac !== CHAIN_START.mac);
  }

  beginFile(file: string): void {
    this.#file = file;
    this.#line = 0;
  }

  /** @throws ChainProblem */
  addLine(line: AuditFileLine): void {
    this.#line++;
    const chained = line.isWhole ? parseChainedLine(line.bytes.toString('utf8')) : undefined;
    if (chained) {
      this.#addRecord(chained);
    } else {
      // The next record has to account for it.
      this.#unchained.push(line);
    }
  }

  /**
   * @param isLast whether this is the last file: its last line may be torn, because its writer has not come back yet. A
   * torn line has no newline.
   * @throws ChainProblem
   */
  endFile(isLast: boolean): void {
    const [first, ...others] = this.#unchained;
    if (first && (!isLast || first.isWhole || others.length > 0)) {
      throw this.#notPartOfTheChain(this.#line - this.#unchained.length + 1);
    }
    this.#countTorn();
  }

  /** @throws ChainProblem when the files do not hold the record of a published head. */
  end(): void {
    const { n } = this.#head ?? CHAIN_START;
    const [unmet] = this.#unmet;
    if (!unmet) {
      return;
    }
    const last = Math.max(...this.#unmet.map((head) => head.n));
    throw new ChainProblem(
      last > n
        ? `records ${n + 1} to ${last} are missing at the end`
        : `record ${unmet.n}, whose head was published, is missing`,
    );
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
    this.#checkBeginsEarlyEnough(line);
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

  /**
   * A writer that finds bytes which are not part of the chain signs their length and hash in its first record. Only a
   * line without a newline can be one that a killed process left unfinished. If the bytes had a newline, it was signed
   * with them, so the hash of one line without it differs.
   */
  #checkAccountsForUnchained({ unchainedBytes, unchainedSha256 }: RecordContent): void {
    if (this.#unchained.length === 0) {
      return;
    }
    const [torn, ...others] = this.#unchained.map(({ bytes }) => bytes);
    const sha256 = torn && createHash('sha256').update(torn).digest('hex');
    if (others.length > 0 || unchainedBytes !== torn?.length || unchainedSha256 !== sha256) {
      throw this.#notPartOfTheChain(this.#line - this.#unchained.length);
    }
  }

  #checkIsAsPublished({ n, mac }: ChainedLine): void {
    if (this.#published.some((head) => head.n === n && head.mac !== mac)) {
      throw this.#problem(`record ${n} is not the one whose head was published`);
    }
    this.#unmet = this.#unmet.filter((head) => head.n !== n);
  }

  #checkBeginsEarlyEnough({ n }: ChainedLine): void {
    const earlier = this.#head ? undefined : this.#unmet.find((head) => head.n < n);
    if (earlier) {
      throw this.#problem(`record ${earlier.n}, whose head was published, is missing before it`);
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
