/** One command of the bin `nestjs-medplum`. */
export interface CliCommand {
  /**
   * Runs the command with the arguments that follow its name. A command sets `process.exitCode` itself if it ran, but
   * found something wrong.
   *
   * @throws WrongUsage when the arguments make no sense: exit code 2.
   * @throws Error whose message is meant for the person at the terminal: exit code 1.
   */
  run(args: readonly string[]): Promise<void>;
}

/** The command was called in a way that it cannot work with. Its message is meant for the person at the terminal. */
export class WrongUsage extends Error {}
