import { ConsoleLogger } from '@nestjs/common';
import { pino, stdSerializers } from 'pino';

const { err, errWithCause } = stdSerializers;

/** Logs `value` with pino in every way that apps do, and returns the lines. */
export function loggedByPino(value: unknown): string {
  const lines: string[] = [];
  const stream = { write: (line: string): void => void lines.push(line) };
  const limits = { level: 'trace', depthLimit: 100, edgeLimit: 10_000 };
  const serializers: readonly Record<string, (error: Error) => unknown>[] = [
    { err, error: err },
    { err: errWithCause, error: errWithCause, obj: err },
  ];
  for (const chosen of serializers) {
    const logger = pino({ ...limits, serializers: chosen }, stream);
    logger.info(value);
    logger.error(value, 'text');
    logger.error({ err: value, error: value, obj: value });
    const given = Object(value) as object;
    logger.info('%s %o %O %j', given, given, given, given);
    logger.child({ obj: value }).info('text');
  }
  return lines.join('\n');
}

/** Logs `value` with Nest's own logger, as text and as JSON, and returns the lines. */
export function loggedByNest(value: unknown): string {
  const lines: string[] = [];
  const note = (line: unknown): boolean => lines.push(String(line)) > 0;
  const spies = [process.stdout, process.stderr].map((stream) => jest.spyOn(stream, 'write').mockImplementation(note));
  try {
    for (const options of [{ colors: false }, { json: true }, { json: true, compact: false, colors: false }]) {
      const logger = new ConsoleLogger('Context', options);
      logger.log(value);
      logger.log('text', value);
      logger.error(value);
      logger.error('text', value, 'stack');
      logger.warn({ message: 'text', error: value });
    }
  } finally {
    spies.forEach((spy) => spy.mockRestore());
  }
  return lines.join('\n');
}
