import { Logger } from '@nestjs/common';

/** Everything that was logged since {@link captureLog}, instead of being printed. */
export interface CapturedLog {
  text(level: 'log' | 'warn' | 'error'): string;
  restore(): void;
}

/** Keeps Nest's logger quiet and remembers what it was told. */
export function captureLog(): CapturedLog {
  const [log, warn, error] = (['log', 'warn', 'error'] as const).map((level) =>
    jest.spyOn(Logger.prototype, level).mockImplementation(),
  );
  const spies = { log, warn, error };
  return {
    text: (level) => spies[level]?.mock.calls.flat().join('\n') ?? '',
    restore: () => Object.values(spies).forEach((spy) => spy?.mockRestore()),
  };
}
