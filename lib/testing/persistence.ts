import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { SeededVariables } from './fixtures.types';
import type { SeededClient } from './seeding.types';
import type { Store, StoreDump } from './store';

/** How long writes are collected before the file is written, in ms. */
const DELAY_MS = 100;

const FORMAT = 'nestjs-medplum-emulator/1';

/** What a file keeps besides the store: what the emulator knows of its own projects and clients. */
export interface PersistedNames {
  readonly variables: SeededVariables;
  /** Clients by the names that `options(name)` takes. */
  readonly clients: readonly (readonly [string, SeededClient])[];
  /** Ids of the projects, the default one first. */
  readonly projects: readonly string[];
}

interface PersistedState extends PersistedNames {
  readonly format: typeof FORMAT;
  readonly store: StoreDump;
}

/**
 * Keeps an emulator's state in a file. Only the owner can read the file, because it holds secrets. Each write replaces the
 * whole file at once, so that a crash leaves the old or the new state, never half of one.
 */
export class Persistence {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly file: string,
    private readonly store: Store,
    private readonly names: () => PersistedNames,
  ) {}

  /**
   * Loads the file into the store, if it exists.
   *
   * @returns `undefined` if there is no file yet
   * @throws Error if the file cannot be read, or is not one of an emulator
   */
  load(): PersistedNames | undefined {
    if (!existsSync(this.file)) {
      return undefined;
    }
    const state = parseState(this.file);
    this.store.load(state.store);
    return state;
  }

  /** Writes the file soon after each change of the store. */
  watch(): void {
    this.store.onChange = () => {
      this.timer ??= setTimeout(() => void this.saveSoon(), DELAY_MS).unref();
    };
  }

  /** Half a transaction must not get into the file, so this waits until none is running. */
  private async saveSoon(): Promise<void> {
    for (let running = this.store.settled(); running; running = this.store.settled()) {
      await running;
    }
    try {
      this.save();
    } catch (error) {
      // A full disk must not end the emulator. The next change tries again.
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }

  /**
   * Writes the file now.
   *
   * @throws Error if the file cannot be written
   */
  save(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const state: PersistedState = { format: FORMAT, ...this.names(), store: this.store.dump() };
    const draft = `${this.file}.${process.pid}.tmp`;
    try {
      writeFileSync(draft, JSON.stringify(state), { mode: 0o600 });
      chmodSync(draft, 0o600);
      renameSync(draft, this.file);
    } catch (error) {
      rmSync(draft, { force: true });
      throw new Error(
        `The emulator cannot write its state to ${this.file} (${codeOf(error)}). Check that its folder exists and that you may ` +
          'write to it.',
        { cause: error },
      );
    }
  }
}

function parseState(file: string): PersistedState {
  const advice = 'Pass another file, or delete it to start afresh.';
  let state: Partial<PersistedState> | undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`The emulator cannot read its state from ${file} (${codeOf(error)}). ${advice}`, { cause: error });
  }
  try {
    state = JSON.parse(text) as Partial<PersistedState>;
  } catch (error) {
    throw new Error(`The emulator cannot read its state from ${file}, because it is not JSON. ${advice}`, {
      cause: error,
    });
  }
  if (state?.format !== FORMAT) {
    throw new Error(`The emulator cannot use ${file}, because it does not hold the state of an emulator. ${advice}`);
  }
  return state as PersistedState;
}

/** The code of an error of the file system, such as `EACCES`. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
