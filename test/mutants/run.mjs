import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const { ROOMS } = require('./rooms.cjs');
const ROOT = path.resolve(import.meta.dirname, '../..');
const REPORTS = path.join(ROOT, 'reports/mutants');
const STRYKER = path.join(path.dirname(require.resolve('@stryker-mutator/core/package.json')), 'bin/stryker.js');

/** Least share of the mutants of a room that its specs must find. */
const LEAST = 0.85;
/** `--changed`: survivors that are never too many, because a small change may consist of mutants that nobody can find. */
const SPARED = 3;
/** `--changed`: time limit, in ms. */
const LIMIT = 4 * 60_000;

const USAGE = `Usage: npm run test:mutants [-- [--fresh] ROOM... | -- --changed [--since REF]]
ROOM is one of: ${Object.keys(ROOMS).join(', ')}. Without a room, all of them run, one after the other.
Results of mutants whose code and tests have not changed are kept; --fresh forgets them.
--changed mutates the lines of these rooms that differ from REF, for at most ${LIMIT / 60_000} minutes. REF is, by default, where
the branch left main, or else the commit before the last one.`;

process.chdir(ROOT);
const args = process.argv.slice(2);
const unknown = args.filter(
  (arg, i) =>
    !(Object.hasOwn(ROOMS, arg) || ['--changed', '--fresh', '--since'].includes(arg) || args[i - 1] === '--since'),
);
if (unknown.length > 0) {
  console.error(USAGE);
  process.exitCode = 1;
} else if (args.includes('--changed')) {
  process.exitCode = await changed(args.includes('--since') ? args[args.indexOf('--since') + 1] : undefined);
} else {
  const rooms = args.filter((arg) => Object.hasOwn(ROOMS, arg));
  process.exitCode = await whole(rooms.length > 0 ? rooms : Object.keys(ROOMS), args.includes('--fresh'));
}

/** Runs whole rooms. Returns the exit code. */
async function whole(rooms, isFresh) {
  const results = [];
  for (const room of rooms) {
    if (isFresh) {
      rmSync(path.join(REPORTS, `${room}.incremental.json`), { force: true });
    }
    const { code } = await stryker(room, [room], [`lib/${room}/**/*.ts`], { incremental: true });
    results.push({ room, ...counts(room), code });
  }
  console.log('');
  for (const { room, total, found, code } of results) {
    console.log(
      code === 0 ? `${room}: ${found} of ${total} mutants found, ${share(found, total)}` : `${room}: Stryker failed`,
    );
  }
  return results.every(({ total, found, code }) => code === 0 && found >= LEAST * total) ? 0 : 1;
}

/** Runs what differs from `since`. Returns the exit code. */
async function changed(since) {
  const base = since ?? defaultBase();
  if (since !== undefined && git('rev-parse', '--verify', '--quiet', `${since}^{commit}`) === undefined) {
    console.error(`There is no commit ${since} in this clone.`);
    return 1;
  }
  const ranges = changedRanges(base);
  const rooms = Object.keys(ROOMS).filter((room) => ranges.some((range) => range.startsWith(`lib/${room}/`)));
  if (rooms.length === 0) {
    console.log(
      `Nothing to mutate: no line of lib/{${Object.keys(ROOMS).join(',')}} differs from ${base ?? 'the last commit'}.`,
    );
    return 0;
  }
  const { code, isLate } = await stryker('changed', rooms, ranges, { incremental: false, limit: LIMIT });
  if (isLate) {
    console.log(
      `Stopped after ${LIMIT / 60_000} minutes, without a result. Run: npm run test:mutants -- ${rooms.join(' ')}`,
    );
    return 0;
  }
  if (code !== 0) {
    return code;
  }
  const { total, found } = counts('changed');
  const spare = Math.max(SPARED, Math.floor((1 - LEAST) * total));
  console.log(`${found} of ${total} mutants found, ${share(found, total)}; ${total - found} live, and ${spare} may.`);
  return total - found > spare ? 1 : 0;
}

/** Runs Stryker. Ends it after `limit` ms. */
function stryker(name, rooms, mutate, { incremental, limit }) {
  mkdirSync(REPORTS, { recursive: true });
  rmSync(report(name), { force: true });
  const config = path.join(REPORTS, `${name}.config.json`);
  writeFileSync(
    config,
    JSON.stringify({
      mutate,
      incremental,
      incrementalFile: `reports/mutants/${name}.incremental.json`,
      jsonReporter: { fileName: report(name) },
      htmlReporter: { fileName: path.join(REPORTS, `${name}.html`) },
    }),
  );
  const env = { ...process.env, MUTANT_ROOMS: rooms.join(','), MUTANT_CONFIG: config };
  const child = spawn(process.execPath, [STRYKER, 'run', 'test/mutants/stryker.config.cjs'], { env, stdio: 'inherit' });
  const stop = () => child.kill('SIGTERM');
  process.once('SIGTERM', stop);
  let isLate = false;
  const timer = limit && setTimeout(() => ((isLate = true), stop()), limit);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('SIGTERM', stop);
      resolve({ code: code ?? 1, isLate });
    });
  });
}

function report(name) {
  return path.join(REPORTS, `${name}.json`);
}

/** How many mutants a run tried, and how many of them its tests found. */
function counts(name) {
  if (!existsSync(report(name))) {
    return { total: 0, found: 0 };
  }
  const { files } = JSON.parse(readFileSync(report(name), 'utf8'));
  const states = Object.values(files).flatMap(({ mutants }) => mutants.map(({ status }) => status));
  const found = states.filter((status) => status === 'Killed' || status === 'Timeout').length;
  return { found, total: found + states.filter((status) => status === 'Survived' || status === 'NoCoverage').length };
}

function share(found, total) {
  return total === 0 ? 'none' : `${((100 * found) / total).toFixed(1)} %`;
}

/** The output of git; `undefined` when it fails, as without a repository, a remote or an earlier commit. */
function git(...command) {
  try {
    return execFileSync('git', command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** `undefined` when the clone has nothing to compare with: then only changes that are not committed count. */
function defaultBase() {
  const head = git('rev-parse', 'HEAD');
  const bases = ['origin/HEAD', 'origin/main', 'main'].map((ref) => git('merge-base', 'HEAD', ref));
  return bases.find((base) => base !== undefined && base !== head) ?? git('rev-parse', '--verify', '--quiet', 'HEAD~1');
}

/** The changed lines as Stryker takes them: `lib/http/wire.ts:3-5`. A new file counts as a whole. */
function changedRanges(base) {
  const rooms = Object.keys(ROOMS).map((room) => `lib/${room}`);
  const added = git('ls-files', '--others', '--exclude-standard', '--', ...rooms)?.split('\n') ?? [];
  const ranges = added.filter((file) => file.endsWith('.ts'));
  let file = '';
  for (const line of git('diff', '--unified=0', '--no-color', '--no-ext-diff', base ?? 'HEAD', '--', ...rooms)?.split(
    '\n',
  ) ?? []) {
    file = /^\+\+\+ b\/(.+\.ts)$/.exec(line)?.[1] ?? (line.startsWith('+++ ') ? '' : file);
    const [, from, count = '1'] = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    if (file !== '' && from !== undefined && count !== '0') {
      ranges.push(`${file}:${from}-${Number(from) + Number(count) - 1}`);
    }
  }
  return ranges;
}
