import { readFileSync } from 'node:fs';
import {
  appendFile,
  chmod,
  type FileHandle,
  link,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import {
  type AuditChainHead,
  type AuditChainKey,
  FileAuditSink,
  type FileAuditSinkOptions,
  MedplumConfigError,
  verifyAuditFiles,
} from 'nestjs-medplum';
import { RecordedRequestEvent } from '../../lib/audit/recorded-request-event';
import { auditCommand } from '../../lib/cli/audit.command';

const KEY = 'a key of a chain that has 32 bytes, or more';

let directory: string;
let path: string;
let opened: FileAuditSink[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'audit-file-'));
  path = join(directory, 'sub', 'audit.log');
});
afterEach(async () => {
  await Promise.allSettled(opened.map((sink) => sink.close()));
  opened = [];
  await rm(directory, { recursive: true });
});

function open(options: Partial<FileAuditSinkOptions> = {}): FileAuditSink {
  const sink = new FileAuditSink({ path, form: 'phi', ...options });
  opened.push(sink);
  return sink;
}

const chain = (onHead: (head: AuditChainHead) => void = () => undefined) => ({ chain: { key: KEY, onHead } });

/** An event about the resource with this id. */
const event = (resourceId: string) =>
  new RecordedRequestEvent(
    {
      operationId: 'o',
      client: 'default',
      clientId: 'client-1',
      baseUrl: 'https://example.org/',
      action: 'read',
      method: 'GET',
      pathTemplate: '/fhir/R4/Patient/{id}',
      path: `/fhir/R4/Patient/${resourceId}`,
      query: '',
      resourceType: 'Patient',
      resourceId,
      onBehalfOf: 'ProjectMembership/m-1',
      identitySource: 'call',
      startedAt: Date.UTC(2026, 0, 2),
      durationMs: 1,
      attempts: [],
      effect: 'none',
    },
    { instanceId: 'i', seq: 1 },
  );

const lines = async (file = path) => (await readFile(file, 'utf8')).split('\n');
const idOf = (line: string) => (JSON.parse(line) as { resourceId?: string }).resourceId;

const edit = async (change: (text: string[]) => string[]) =>
  writeFile(path, change((await readFile(path, 'utf8')).split('\n')).join('\n'));
const stdout = () => jest.spyOn(process.stdout, 'write').mockImplementation(() => true);

/** What all open files of the process have in common. Node does not export it. */
async function fileHandles(): Promise<FileHandle> {
  const handle = await openFile(__filename);
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

const trouble = (code: string) => Object.assign(new Error(code), { code });

const verify = (heads?: readonly AuditChainHead[], files = [path]) => verifyAuditFiles(files, KEY, heads);
/** Writes ten records, as one process. Returns the head. */
async function tenRecords(): Promise<AuditChainHead> {
  const heads: AuditChainHead[] = [];
  const sink = open(chain((head) => heads.push(head)));
  for (let i = 1; i < 10; i++) {
    await sink.write([event(String(i))]);
  }
  await sink.close();
  return heads.at(-1) ?? { n: 0, mac: '' };
}

describe('The file of a FileAuditSink', () => {
  it('holds a line of JSON for each event, in order, and only the owner may read it', async () => {
    const sink = open();
    await sink.write([event('a'), event('b')]);
    await sink.write([event('c')]);
    const written = await lines();
    expect(written.pop()).toBe('');
    expect(written.map(idOf)).toEqual(['a', 'b', 'c']);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it.each(['batch', 'never', 1] as const)('continues after a restart (fsync: %s)', async (fsync) => {
    const first = open({ fsync });
    await first.write([event('a')]);
    await first.close();
    await open({ fsync }).write([event('b')]);
    expect((await lines()).slice(0, 2).map(idOf)).toEqual(['a', 'b']);
  });

  it('loses a mode with which others may read it', async () => {
    await mkdir(join(directory, 'sub'));
    await writeFile(path, '');
    await chmod(path, 0o644);
    await open().write([event('a')]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('is never behind a symbolic link, and is a regular file', async () => {
    const target = join(directory, 'target');
    await mkdir(join(directory, 'sub'));
    await symlink(target, path);
    await expect(open().write([event('a')])).rejects.toBeInstanceOf(MedplumConfigError);
    await writeFile(target, 'as it was');
    await expect(open().write([event('a')])).rejects.toThrow('symbolic link or not a regular file');
    expect(await readFile(target, 'utf8')).toBe('as it was');
    await rm(path);
    await mkdir(path);
    await expect(open().write([event('a')])).rejects.toBeInstanceOf(MedplumConfigError);
  });

  it('has no second name: what is written there would be read elsewhere', async () => {
    await mkdir(join(directory, 'sub'));
    await writeFile(join(directory, 'elsewhere'), '');
    await link(join(directory, 'elsewhere'), path);
    await expect(open().write([event('a')])).rejects.toThrow('has a second name (a hard link)');
    expect(await readFile(path, 'utf8')).toBe('');
    await rm(join(directory, 'elsewhere'));
    await open().write([event('a')]);
    expect((await lines()).slice(0, 1).map(idOf)).toEqual(['a']);
  });

  it('is not written when others may open it and the process cannot change that', async () => {
    await mkdir(join(directory, 'sub'));
    await writeFile(path, '');
    await chmod(path, 0o666);
    const refused = jest.spyOn(await fileHandles(), 'chmod').mockRejectedValue(trouble('EPERM'));
    try {
      await expect(open().write([event('a')])).rejects.toThrow('Set its mode to 0600');
    } finally {
      refused.mockRestore();
    }
    expect(await readFile(path, 'utf8')).toBe('');
  });

  it('holds no part of a batch that the disk had no room for, and each event once', async () => {
    const sink = open(chain());
    await sink.write([event('a')]);
    const handles = await fileHandles();
    const full = jest.spyOn(handles, 'appendFile').mockImplementation(async function (this: FileHandle, data) {
      await this.write(String(data).slice(0, -20));
      throw trouble('ENOSPC');
    });
    try {
      await expect(sink.write([event('b'), event('c')])).rejects.toThrow('ENOSPC');
      await expect(sink.write([event('b'), event('c')])).rejects.toThrow('ENOSPC');
    } finally {
      full.mockRestore();
    }
    expect(await verify()).toMatchObject({ records: 2, torn: 0 });
    await sink.write([event('b'), event('c')]);
    expect((await lines()).filter(Boolean).map(idOf)).toEqual([undefined, 'a', 'b', 'c']);
    expect(await verify()).not.toHaveProperty('problem');
  });

  it('keeps an unfinished line apart from the next one', async () => {
    const first = open();
    await first.write([event('a'), event('b')]);
    await first.close();
    await truncate(path, (await stat(path)).size - 10);
    await open().write([event('c')]);
    const [a, torn, c] = await lines();
    expect([a, c].map((line) => idOf(line ?? ''))).toEqual(['a', 'c']);
    expect(torn).toMatch(/^\{.*"resourceId":"b"/);
    expect(() => JSON.parse(torn ?? '') as unknown).toThrow(SyntaxError);
  });

  it('is renamed when it is full, and no line is lost or split', async () => {
    const sink = open({ maxBytes: 2_000 });
    for (let i = 0; i < 20; i++) {
      await sink.write([event(String(i))]);
    }
    const names = (await readdir(join(directory, 'sub'))).toSorted((a, b) => a.localeCompare(b));
    expect(names.length).toBeGreaterThan(3);
    expect(names.slice(0, 3)).toEqual(['audit.log', 'audit.log.000001', 'audit.log.000002']);
    const texts = await Promise.all(
      [...names.slice(1), 'audit.log'].map((name) => lines(join(directory, 'sub', name))),
    );
    expect(texts.flatMap((text) => text.slice(0, -1).map(idOf))).toEqual(
      Array.from({ length: 20 }, (_, i) => String(i)),
    );
  });

  it('continues after a write that failed', async () => {
    await writeFile(join(directory, 'sub'), 'in the way of the directory');
    const sink = open();
    await expect(sink.write([event('a')])).rejects.toThrow(/EEXIST|ENOTDIR/);
    await rm(join(directory, 'sub'));
    await sink.write([event('a')]);
    expect((await lines()).slice(0, 1).map(idOf)).toEqual(['a']);
  });
});

describe('A chained file', () => {
  it('is intact as it was written, and ends with the head that was published', async () => {
    const head = await tenRecords();
    expect(await verify([head])).toEqual({ records: 10, head, torn: 0 });
  });

  it('is intact over restarts, unfinished lines and rotations', async () => {
    await tenRecords();
    await truncate(path, (await stat(path)).size - 10);
    const sink = open({ ...chain(), maxBytes: 3_000 });
    await sink.write([event('a')]);
    await sink.write([event('b')]);
    await sink.close();
    await appendFile(path, '{"torn');
    const files = [...(await readdir(join(directory, 'sub')))].toSorted((a, b) => a.localeCompare(b));
    const paths = [...files.slice(1), 'audit.log'].map((name) => join(directory, 'sub', name));
    const result = await verify([], paths);
    expect(result.problem).toBeUndefined();
    expect(result.torn).toBe(2);
    // A later file can be checked alone, because its first record names the head that it follows.
    expect((await verify([], paths.slice(-1))).problem).toBeUndefined();
  });

  it.each<readonly [string, (text: string[]) => string[], RegExp]>([
    [
      'changed',
      (text) => text.with(4, (text[4] ?? '').replace('"resourceId":"4"', '"resourceId":"5"')),
      /line 5: record 5 is not as it was written/,
    ],
    [
      'changed into something that is not JSON, without quoting it',
      (text) => text.with(4, (text[4] ?? '').replace('"resourceId":"4"', '"resourceId":')),
      /audit\.log, line 5: record 5 is not as it was written$/,
    ],
    ['left out', (text) => text.toSpliced(4, 1), /line 5: records 5 to 5 are missing before it/],
    ['left out at the beginning', (text) => text.slice(2), /line 1: the chain has no beginning/],
    [
      'exchanged',
      (text) => [...text.slice(0, 4), text[5] ?? '', text[4] ?? '', ...text.slice(6)],
      /line 5: records 5 to 5 are missing before it/,
    ],
    ['repeated', (text) => text.toSpliced(4, 0, text[3] ?? ''), /line 5: record 4 is not as it was written/],
    ['added', (text) => text.toSpliced(4, 0, '{"resourceId":"x"}'), /line 5: this line is not part of the chain/],
    ['cut', (text) => text.with(4, (text[4] ?? '').slice(0, 30)), /line 6: records 5 to 5 are missing before it/],
    ['added at the end', (text) => [...text.slice(0, -1), '{"a":1}', '{"b":2}', ''], /line 11: this line is not part/],
  ])('shows the first line that was %s', async (_how, change, problem) => {
    await tenRecords();
    await edit(change);
    expect((await verify()).problem).toMatch(problem);
  });

  it('shows an unfinished line at the end of a file that others follow', async () => {
    await tenRecords();
    const first = join(directory, 'audit.log.000001');
    await writeFile(first, (await readFile(path, 'utf8')).slice(0, -10));
    expect((await verify([], [first])).torn).toBe(1);
    expect((await verify([], [first, path])).problem).toBe(`${first}, line 10: this line is not part of the chain`);
  });

  it.each<readonly [string, (text: string) => string]>([
    ['forged', (text) => `${text}{"forged":1}\n`],
    ['altered', (text) => text.replace(/,"chain":[^\n]*\n$/, '}\n')],
    ['forged before a torn one', (text) => `${text}{"forged":1}\n{"torn`],
  ])('shows last lines that were %s before a restart', async (_how, change) => {
    await tenRecords();
    await writeFile(path, change(await readFile(path, 'utf8')));
    expect((await verify()).problem).toMatch(/line 1[01]: this line is not part of the chain/);
    const sink = open(chain());
    await sink.write([event('a')]);
    await sink.close();
    expect((await verify()).problem).toMatch(/line 1[01]: this line is not part of the chain/);
  });

  it('takes one line without a newline for unfinished, before and after a restart', async () => {
    await tenRecords();
    await appendFile(path, '{"torn');
    expect(await verify()).toMatchObject({ torn: 1, records: 10 });
    await open(chain()).write([event('a')]);
    const result = await verify();
    expect(result).toMatchObject({ torn: 1, records: 12 });
    expect(result.problem).toBeUndefined();
  });

  it('begins after the lines of a sink without a chain, which stay in a file of their own', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    try {
      const before = open();
      await before.write([event('a')]);
      await before.close();
      const sink = open({ ...chain(), maxBytes: 1_500 });
      for (const id of ['b', 'c', 'd', 'e']) {
        await sink.write([event(id)]);
      }
      await sink.close();
      expect(warn.mock.calls.flat().join()).toContain(
        'It is now audit.log.000001, and the chain goes on in a new file',
      );
    } finally {
      warn.mockRestore();
    }
    expect((await lines(`${path}.000001`)).filter(Boolean).map(idOf)).toEqual(['a']);
    const names = (await readdir(join(directory, 'sub'))).toSorted((a, b) => a.localeCompare(b));
    const files = [...names.slice(2), 'audit.log'].map((name) => join(directory, 'sub', name));
    const result = await verify([], files);
    expect(result).not.toHaveProperty('problem');
    expect(result.records).toBeGreaterThan(4);
  });

  it('goes on from the last chained file when its lines lost their chain while no process ran', async () => {
    const head = await tenRecords();
    await rename(path, `${path}.000001`);
    await writeFile(path, '{"forged":1}\n');
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    await open(chain()).write([event('a')]);
    expect(warn.mock.calls.flat().join()).toContain('compare it with the heads that you published');
    warn.mockRestore();
    expect(await verify([head], [`${path}.000001`, path])).toMatchObject({ records: 12 });
    expect((await verify([head], [`${path}.000001`, `${path}.000002`, path])).problem).toBe(
      `${path}.000002, line 1: this line is not part of the chain`,
    );
  });

  it('is read back to its last record, however long the lines are', async () => {
    const sink = open(chain());
    await sink.write([event('a'), event('x'.repeat(200_000))]);
    await sink.close();
    await appendFile(path, `{"torn":"${'y'.repeat(100_000)}`);
    await open(chain()).write([event('b')]);
    const result = await verify();
    expect(result).toMatchObject({ records: 5, torn: 1 });
    expect(result).not.toHaveProperty('problem');
  });

  it('that cannot be read is an error, not an intact file', async () => {
    await expect(verify([], [join(directory, 'no such file')])).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('holds every head that was published: also those of files that were deleted', async () => {
    const heads: AuditChainHead[] = [];
    const sink = open({ ...chain((head) => heads.push(head)), maxBytes: 1_500 });
    for (let i = 0; i < 8; i++) {
      await sink.write([event(String(i))]);
    }
    await sink.close();
    const names = (await readdir(join(directory, 'sub'))).toSorted((a, b) => a.localeCompare(b));
    const files = [...names.slice(1), 'audit.log'].map((name) => join(directory, 'sub', name));
    const [first] = heads;
    expect(files.length).toBeGreaterThan(2);
    expect((await verify(heads, files)).problem).toBeUndefined();
    expect((await verify(first && [first], files.slice(1))).problem).toMatch(
      /line 1: record \d+, whose head was published, is missing before it/,
    );
  });

  it('cannot meet two heads of one record that differ, or a head without a number', async () => {
    const head = await tenRecords();
    const other = { n: head.n, mac: '0'.repeat(64) };
    for (const heads of [
      [head, other],
      [other, head],
    ]) {
      expect((await verify(heads)).problem).toMatch(/record 10 is not the one whose head was published/);
    }
    expect((await verify([{ ...head, n: Number.NaN }])).problem).toMatch(/whose head was published, is missing/);
  });

  it('shows that lines are missing at the end, when its head was published', async () => {
    const head = await tenRecords();
    await edit((text) => [...text.slice(0, 7), '']);
    expect((await verify()).problem).toBeUndefined();
    expect((await verify([head])).problem).toBe('records 8 to 10 are missing at the end');
  });

  it('shows that it was written again, even with the key, when its head was published', async () => {
    const head = await tenRecords();
    await rm(path);
    await tenRecords();
    await edit((text) => text);
    expect((await verify([{ n: head.n, mac: '0'.repeat(64) }])).problem).toMatch(
      /not the one whose head was published/,
    );
  });

  it('cannot be checked, or forged, with another key', async () => {
    await tenRecords();
    const result = await verifyAuditFiles([path], 'another key of 32 bytes, or of more');
    expect(result.problem).toMatch(/line 1: record 1 is not as it was written/);
  });

  it.each<readonly [string, AuditChainKey]>([
    ['text', 'é'.repeat(16)],
    ['bytes', new Uint8Array(32).fill(7)],
    ['a Buffer', Buffer.alloc(32, 7)],
  ])('takes a key of 32 bytes as %s, and is checked with the same key', async (_what, key) => {
    const sink = open({ chain: { key, onHead: () => undefined } });
    await sink.write([event('a')]);
    expect(await verifyAuditFiles([path], key)).toMatchObject({ records: 2 });
    expect(await verifyAuditFiles([path], typeof key === 'string' ? Buffer.from(key) : key)).not.toHaveProperty(
      'problem',
    );
  });

  it.each<readonly [string, AuditChainKey]>([
    ['text', 'secret'.padEnd(31)],
    ['bytes', new Uint8Array(31)],
  ])('is neither written nor checked with a key of 31 bytes as %s', async (_what, key) => {
    const message =
      'The key of the audit chain is too short, so it could be guessed and the files forged. Use at least 32';
    expect(() => open({ chain: { key } })).toThrow(message);
    await expect(verifyAuditFiles([path], key)).rejects.toThrow(message);
    await expect(verifyAuditFiles([path], key)).rejects.toBeInstanceOf(MedplumConfigError);
    await expect(verifyAuditFiles([path], key)).rejects.not.toThrow('secret');
  });

  it('does not change when the app overwrites the bytes of its key later', async () => {
    const key = Buffer.from(KEY);
    const sink = open({ chain: { key, onHead: () => undefined } });
    key.fill(0);
    await sink.write([event('a')]);
    expect((await verify()).problem).toBeUndefined();
  });

  it('publishes no head before its record is in the file', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    try {
      const heads: number[] = [];
      const inTheFile: boolean[] = [];
      const onHead = ({ n, mac }: AuditChainHead): void => {
        heads.push(n);
        inTheFile.push(readFileSync(path, 'utf8').includes(`"chain":{"n":${n},"mac":"${mac}"}}\n`));
      };
      const sink = open({ chain: { key: KEY, onHead, headInterval: 1 } });
      const state = { isWriting: true };
      const written = sink.write([event('a')]).finally(() => (state.isWriting = false));
      while (state.isWriting) {
        jest.advanceTimersByTime(1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await written;
      jest.advanceTimersByTime(1);
      expect(heads.at(-1)).toBe(2);
      expect(inTheFile).not.toContain(false);
    } finally {
      jest.useRealTimers();
    }
  });

  it('publishes its head at each rotation and at an interval', async () => {
    const heads: number[] = [];
    jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const sink = open({ maxBytes: 1_500, chain: { key: KEY, onHead: ({ n }) => heads.push(n), headInterval: 5 } });
      await sink.write([event('a')]);
      expect(heads).toEqual([]);
      jest.advanceTimersByTime(5);
      expect(heads).toEqual([2]);
      await sink.write([event('b')]);
      await sink.write([event('c')]);
      await sink.write([event('d')]);
      expect(heads.length).toBeGreaterThan(1);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('nestjs-medplum audit verify', () => {
  it('says that a file is intact, or fails with the first line that is not', async () => {
    const key = join(directory, 'key');
    await writeFile(key, KEY);
    let head = '';
    const sink = open(chain(({ n, mac }) => (head = `${n}:${mac}`)));
    await sink.write([event('a'), event('b')]);
    await sink.close();
    const write = stdout();
    try {
      await auditCommand.run(['verify', path, '--key-file', key, '--head', head]);
      expect(write.mock.calls).toEqual([[`3 records intact, 0 unfinished lines, head ${head}\n`]]);
      await writeFile(path, (await readFile(path, 'utf8')).replace('"resourceId":"b"', '"resourceId":"c"'));
      await expect(auditCommand.run(['verify', path, '--key-file', key])).rejects.toThrow(
        `${path}, line 3: record 3 is not as it was written`,
      );
    } finally {
      write.mockRestore();
    }
  });

  it.each<readonly [string, readonly string[], RegExp]>([
    ['no file', ['verify', '--key-env', 'X'], /say what to check/],
    ['no key', ['verify', 'file'], /one of --key-env and --key-file/],
    ['a variable that is not set', ['verify', 'file', '--key-env', 'NO_SUCH_VARIABLE'], /NO_SUCH_VARIABLE is not set/],
    ['a malformed head', ['verify', 'file', '--key-file', __filename, '--head', '1'], /--head must be/],
  ])('is refused with %s', async (_what, args, message) => {
    await expect(auditCommand.run(args)).rejects.toThrow(message);
  });
});
