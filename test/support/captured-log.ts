import { Logger } from '@nestjs/common';

const LEVELS = ['verbose', 'debug', 'log', 'warn', 'error', 'fatal'] as const;

/** Everything that was logged since {@link captureLog}. None of it is printed. */
export interface CapturedLog {
  text(level: (typeof LEVELS)[number]): string;
  /** Everything passed to the logger, at every level: texts, errors and objects. */
  readonly given: readonly unknown[];
  restore(): void;
}

const told = (spy: jest.SpyInstance): unknown[] => spy.mock.calls.flat();

/** Silences Nest's logger and records what is passed to it. */
export function captureLog(): CapturedLog {
  const spies = LEVELS.map((level) => jest.spyOn(Logger.prototype, level).mockImplementation());
  return {
    text: (level) => spies.flatMap((spy, i) => (LEVELS[i] === level ? told(spy) : [])).join('\n'),
    get given() {
      return spies.flatMap(told);
    },
    restore: () => spies.forEach((spy) => spy.mockRestore()),
  };
}
