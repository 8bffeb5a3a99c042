import { parseArgs } from 'node:util';

/** The file that `nest build` makes of the root module. */
const DEFAULT_FILE = 'dist/app.module.js';

/** Text of `--help`. */
export const USAGE = `usage: nestjs-medplum routes [file[#Class]] [options]

Lists the handlers of an app, and how each gets its identity. It loads the compiled root module and reads its decorators. It
creates no provider, opens no connection and sends nothing.

  file[#Class]  compiled file of the root module, and the name of its class (default: ${DEFAULT_FILE}#AppModule). Not
                main.js: loading that would start the app
  --enforce     exit with 1 if a handler does not say how it acts. Handlers in the option routes.exclude need not
  --json        print the routes as one JSON object
  --help        show this text

Exit codes: 0 listed, 1 the module cannot be read, or --enforce found something, 2 wrong usage.
`;

/** The flags of one run. */
export interface RoutesFlags {
  readonly file: string;
  /** Name of the class of the root module. `undefined`: `AppModule`, or the only class of the file. */
  readonly className: string | undefined;
  readonly enforce: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

/** @throws TypeError of `parseArgs` for arguments that it does not know. */
export function readFlags(args: readonly string[]): RoutesFlags {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      enforce: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [, file = DEFAULT_FILE, className] = /^(.*?)(?:#(.*))?$/s.exec(positionals[0] ?? DEFAULT_FILE) ?? [];
  return { file, className, ...values };
}
