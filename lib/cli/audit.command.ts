import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { AuditChainHead } from '../audit/sinks/hash-chain';
import { verifyAuditFiles } from '../audit/sinks/verify-audit-files';
import type { CliCommand } from './cli-command';

const USAGE = `usage: nestjs-medplum audit verify <file...> (--key-env <name> | --key-file <file>) [--head <n:mac>...]

Checks files that FileAuditSink wrote with a chain. Pass the oldest file first. The command names the first line that
was changed or is missing.

  --key-env <name>   environment variable that holds the chain's key
  --key-file <file>  file whose bytes are the chain's key, a final line break included
  --head <n:mac>     head that you published; the files must contain its record (repeatable)
  --help             show this text
`;

/** `nestjs-medplum audit verify`: checks that nobody changed the audit trail after it was written. */
export const auditCommand: CliCommand = {
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'key-env': { type: 'string' },
        'key-file': { type: 'string' },
        head: { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return;
    }
    const [verb, ...files] = positionals;
    if (verb !== 'verify' || files.length === 0) {
      throw new Error('there is nothing to verify; say what to check: audit verify <file...>');
    }
    const key = readKey(values['key-env'], values['key-file']);
    const result = await verifyAuditFiles(files, key, values.head.map(parseHead));
    const { records, torn, head, problem } = result;
    process.stdout.write(`${records} records intact, ${torn} unfinished lines, head ${head.n}:${head.mac}\n`);
    if (problem !== undefined) {
      throw new Error(problem);
    }
  },
};

function readKey(name: string | undefined, file: string | undefined): Buffer {
  if ((name === undefined) === (file === undefined)) {
    throw new Error('the chain is checked with exactly one key; pass one of --key-env and --key-file');
  }
  if (file !== undefined) {
    return readFileSync(file);
  }
  const key = process.env[name ?? ''];
  if (!key) {
    throw new Error(`the environment variable ${name} is not set, so there is no key; set it, or pass --key-file`);
  }
  return Buffer.from(key, 'utf8');
}

function parseHead(text: string): AuditChainHead {
  const [, n, mac] = /^(\d{1,15}):([\da-f]{64})$/.exec(text) ?? [];
  if (n === undefined || mac === undefined) {
    throw new Error('--head must be a number, a colon and 64 hexadecimal digits; pass the head as it was published');
  }
  return { n: Number(n), mac };
}
