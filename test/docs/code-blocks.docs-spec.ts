import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { readPages } from './code-blocks';
import { DocsProject, VARIANTS } from './docs-project';

const run = promisify(execFile);

const pages = readPages();

/** A program that runs files one after the other. */
const RUN_ALL = (files: readonly string[]): string => `
  for (const file of ${JSON.stringify(files)}) {
    await (await import('./' + file)).main().catch((error) => {
      throw new Error('test/docs/pages/' + file, { cause: error });
    });
  }
`;

let temp: string;

/** These tests need a fresh build, and Nest 11 in compat/nest11. `npm run check:docs` makes both. */
beforeAll(() => {
  temp = realpathSync(mkdtempSync(join(tmpdir(), 'docs-')));
});

afterAll(() => {
  rmSync(temp, { recursive: true, force: true });
});

describe.each(Object.entries(VARIANTS))('The code of the docs under %s', (key, variant) => {
  let project: DocsProject;

  beforeAll(() => {
    project = new DocsProject(join(temp, key), variant, pages);
  });

  it('compiles strictly', () => {
    expect(project.compile()).toEqual([]);
  }, 120_000);

  // Files in test/docs/pages that end in .run.ts export a `main`, and run in one process. Those in .process.ts run in one of their own.
  // Each fails if a page does not do what it says.
  it('does what the page says, where it can run', async () => {
    if (key === 'bundler') {
      return; // It emits nothing.
    }
    const together = project.emitted('.run').map((file) => relative(project.folder, file));
    expect(together).not.toEqual([]);
    const all = join(project.folder, 'run-all.mjs');
    writeFileSync(all, RUN_ALL(together));
    const runs = await Promise.allSettled(
      [all, ...project.emitted('.process')].map((file) =>
        run(process.execPath, [file], { cwd: project.folder, timeout: 180_000 }),
      ),
    );
    const failures = runs.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
    expect(failures).toEqual([]);
  }, 240_000);
});
