import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Logger } from '@nestjs/common';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { type AuditFileTail, readTail } from './audit-file-tail';
import { jsonInForm, type MedplumAuditForm } from './audit-form';
import type { MedplumAuditSink } from '../audit-sink';
import { type AuditChainHead, type AuditChainKey, CHAIN_START, chainKeyBytes, chainLine } from './hash-chain';
import type { RequestEvent } from '../request-event';

/** Makes a file tamper-evident: `npx nestjs-medplum audit verify` names the first line that was changed or is missing. */
export interface FileAuditChainOptions {
  /** The secret that signs the chain: at least 32 bytes. */
  readonly key: AuditChainKey;
  /**
   * Called with the head of the chain at each rotation, at each interval and at the end. Keep the heads where the owner
   * of the file cannot change them. Only they show that lines are missing at the end. Default: logs the head.
   */
  readonly onHead?: ((head: AuditChainHead) => void) | undefined;
  /** How often `onHead` gets the head while there are new records, in ms. Default 60,000. */
  readonly headInterval?: number | undefined;
}

/** Options of {@link FileAuditSink}. */
export interface FileAuditSinkOptions {
  /** The file. No other process may write it. A missing directory is created. */
  readonly path: string;
  /** Required. `phi` writes people and records into the file. */
  readonly form: MedplumAuditForm;
  /** A file that would grow larger is renamed to `<path>.000001` and so on. In bytes. Default 100 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * When records are forced to the disk: after each batch (default), at an interval in ms, or never, which leaves it to
   * the operating system. A killed process never loses an accepted record. With an interval or `never`, a power failure
   * may lose some.
   */
  readonly fsync?: 'batch' | 'never' | number | undefined;
  /** Default: no chain. */
  readonly chain?: FileAuditChainOptions | undefined;
}

interface OpenFile {
  readonly handle: FileHandle;
  /** In bytes. */
  size: number;
  /** Where the chain ends. */
  head: AuditChainHead;
}

const MAX_BYTES = 100 * 1024 * 1024;
const HEAD_INTERVAL = 60_000;

/** Windows has no such flag: there, `refuseLink` looks before the file is opened. */
const NO_FOLLOW = (constants as Partial<typeof constants>).O_NOFOLLOW ?? 0;
const OWNER_ONLY = 0o600;

/**
 * Appends each event as one line of JSON to a file that only its owner may read. It never writes through a link
 * or to anything but a regular file, and narrows the mode of an existing file to 0600, except on Windows, which has no
 * modes. Otherwise `write` rejects with a `MedplumConfigError`, or with the error of `node:fs`. A killed process may leave its last
 * line unfinished. The next record then starts on a new line, so the two do not mix.
 */
export class FileAuditSink implements MedplumAuditSink {
  readonly #options: FileAuditSinkOptions;
  readonly #key: Buffer | undefined;
  readonly #logger = new Logger('FileAuditSink');
  readonly #timers: NodeJS.Timeout[] = [];
  #file: OpenFile | undefined;
  /** Where the chain ends in the file. A head is published only when its record is there. */
  #head = CHAIN_START;
  #published = 0;

  /** @throws MedplumConfigError when the key of the chain is shorter than 32 bytes. */
  constructor(options: FileAuditSinkOptions) {
    this.#options = options;
    const { chain, fsync } = options;
    this.#key = chain && chainKeyBytes(chain.key);
    if (typeof fsync === 'number') {
      this.#every(fsync, () => void this.#file?.handle.datasync().catch(() => undefined));
    }
    if (chain) {
      this.#every(chain.headInterval ?? HEAD_INTERVAL, () => this.#publishHead());
    }
  }

  /** Resolves when the lines are in the file and, with `fsync: 'batch'`, on the disk. */
  async write(batch: readonly RequestEvent[]): Promise<void> {
    const records = batch.map((event) => jsonInForm(event, this.#options.form));
    let file = (this.#file ??= await this.#open());
    try {
      let lines = this.#lines(records, file.head);
      const { maxBytes = MAX_BYTES } = this.#options;
      if (file.size > 0 && file.size + Buffer.byteLength(lines.text) > maxBytes) {
        await this.#rotate(file);
        file = this.#file = await this.#open();
        lines = this.#lines(records, file.head);
      }
      await append(file, lines.text);
      if ((this.#options.fsync ?? 'batch') === 'batch') {
        await file.handle.datasync();
      }
      file.head = this.#head = lines.head;
    } catch (error) {
      // The next attempt opens the file again and looks at what is in it.
      this.#file = undefined;
      await file.handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** Forces everything to the disk and closes the file. */
  async close(): Promise<void> {
    this.#timers.forEach(clearInterval);
    const file = this.#file;
    this.#file = undefined;
    this.#publishHead();
    await file?.handle.datasync();
    await file?.handle.close();
  }

  #every(ms: number, what: () => void): void {
    this.#timers.push(setInterval(what, ms).unref());
  }

  #lines(records: readonly string[], previous: AuditChainHead): { text: string; head: AuditChainHead } {
    const key = this.#key;
    let head = previous;
    const lines = records.map((record) => {
      if (!key) {
        return record;
      }
      const chained = chainLine(record, head, key);
      head = chained.head;
      return chained.line;
    });
    return { text: `${lines.join('\n')}\n`, head };
  }

  async #open(): Promise<OpenFile> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true });
    await refuseLink(path);
    const { O_APPEND, O_CREAT, O_RDWR } = constants;
    const handle = await open(path, O_APPEND | O_CREAT | O_RDWR | NO_FOLLOW, OWNER_ONLY);
    try {
      await secure(handle);
      const tail = await readTail(handle, this.#key !== undefined);
      if (this.#key && !tail.head && tail.unchained.includes('\n')) {
        // Whole lines from before the chain. They stay as they are, in a file of their own.
        await handle.close();
        this.#logger.warn(
          `The file of the audit trail holds lines that no chain protects. It is now ${basename(await this.#setAside())}, and the chain goes on in a new file. If the sink had a chain before, somebody may have changed the file: compare it with the heads that you published.`,
        );
        return await this.#open();
      }
      const { text, head } = await this.#beginning(tail);
      const file = { handle, size: tail.size, head };
      // A write of its own, because a process that dies in a small write leaves no second torn line.
      await append(file, (tail.isTorn ? '\n' : '') + text);
      await handle.datasync();
      this.#head = head;
      return file;
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** The record that joins the chain to what is in the file: which head it follows, and which torn line lies between. */
  async #beginning({ head, unchained }: AuditFileTail): Promise<{ text: string; head: AuditChainHead }> {
    if (!this.#key) {
      return { text: '', head: CHAIN_START };
    }
    const previous = head ?? (await this.#lastRotatedHead()) ?? CHAIN_START;
    if (head && unchained.length === 0) {
      return { text: '', head };
    }
    const type = head ? 'restart' : 'start';
    const between =
      unchained.length > 0
        ? { unchainedBytes: unchained.length, unchainedSha256: createHash('sha256').update(unchained).digest('hex') }
        : {};
    const record = { type, at: new Date().toISOString(), ...(head ? {} : { previous }), ...between };
    const { line, head: joined } = chainLine(JSON.stringify(record), previous, this.#key);
    return { text: `${line}\n`, head: joined };
  }

  async #rotate({ handle }: OpenFile): Promise<void> {
    await handle.datasync();
    await handle.close();
    this.#file = undefined;
    await this.#setAside();
    this.#publishHead();
  }

  /** Gives the file the next number, and returns its new path. */
  async #setAside(): Promise<string> {
    const { path } = this.#options;
    const last = Number((await this.#rotated()).at(-1)?.slice(-6) ?? 0);
    const target = `${path}.${String(last + 1).padStart(6, '0')}`;
    await rename(path, target);
    return target;
  }

  /** Files that were rotated, oldest first. */
  async #rotated(): Promise<readonly string[]> {
    const { path } = this.#options;
    const names = await readdir(dirname(path));
    const prefix = `${basename(path)}.`;
    return names.filter((name) => name.startsWith(prefix) && /^\d{6}$/.test(name.slice(prefix.length))).toSorted();
  }

  async #lastRotatedHead(): Promise<AuditChainHead | undefined> {
    // The newest file may be one from before the chain.
    for (const name of (await this.#rotated()).toReversed()) {
      const file = join(dirname(this.#options.path), name);
      await refuseLink(file);
      const handle = await open(file, constants.O_RDONLY | NO_FOLLOW);
      try {
        const { head } = await readTail(handle, true);
        if (head) {
          return head;
        }
      } finally {
        await handle.close();
      }
    }
    return undefined;
  }

  #publishHead(): void {
    const head = this.#head;
    if (!this.#options.chain || head.n === this.#published || head.n === 0) {
      return;
    }
    this.#published = head.n;
    const { onHead = ({ n, mac }) => this.#logger.log(`Head of the audit chain: ${n}:${mac}`) } = this.#options.chain;
    onHead(head);
  }
}

/** Appends all of the text or, as far as the disk allows, none of it: a part of a line would have to be explained. */
async function append(file: OpenFile, text: string): Promise<void> {
  if (text === '') {
    return;
  }
  try {
    await file.handle.appendFile(text);
    file.size += Buffer.byteLength(text);
  } catch (error) {
    const { size } = await file.handle.stat().catch(() => ({ size: 0 }));
    if (size > file.size) {
      await file.handle.truncate(file.size).catch(() => undefined);
    }
    throw error;
  }
}

/** @throws MedplumConfigError when there is something other than a regular file. */
async function refuseLink(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  });
  if (stats && !stats.isFile()) {
    throw notAFile();
  }
}

/** @throws MedplumConfigError when the file is not a regular one, has a second name, or its mode stays too wide. */
async function secure(handle: FileHandle): Promise<void> {
  const stats = await handle.stat();
  if (!stats.isFile()) {
    throw notAFile();
  }
  if (stats.nlink > 1) {
    throw new MedplumConfigError(
      'The file of the audit trail has a second name (a hard link), so records could end up where others read them. Nothing was written. Remove the other name, or give FileAuditSink another path.',
    );
  }
  if (process.platform === 'win32' || (stats.mode & 0o777 & ~OWNER_ONLY) === 0) {
    return;
  }
  try {
    await handle.chmod(OWNER_ONLY);
  } catch {
    throw new MedplumConfigError(
      'Others may open the file of the audit trail, and this process may not change that. Nothing was written. Set its mode to 0600, and its owner to the user of the app.',
    );
  }
}

function notAFile(): MedplumConfigError {
  return new MedplumConfigError(
    'The path of the audit trail is a symbolic link or not a regular file, so records could end up elsewhere. Nothing was written. Give FileAuditSink the path of a regular file.',
  );
}
