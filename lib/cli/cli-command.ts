/** One command of the bin `nestjs-medplum`. */
export interface CliCommand {
  /** @throws Error with a message for the person at the terminal. */
  run(args: readonly string[]): Promise<void>;
}
