/** One command of the bin `nestjs-medplum`. */
export interface CliCommand {
  /**
   * Runs the command with the arguments that follow its name.
   *
   * @throws Error whose message is meant for the person at the terminal.
   */
  run(args: readonly string[]): Promise<void>;
}
