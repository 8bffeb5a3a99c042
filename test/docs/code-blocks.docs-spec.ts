import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { readPages } from './code-blocks';
import { DocsProject, VARIANTS } from './docs-project';

const run = promisify(execFile);

const pages = readPages();
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

  // Files in test/docs/pages that end in .run.ts start what a page shows, and end with an error if it does not do what the page says.
  it('does what the page says, where it can run', async () => {
    if (key === 'bundler') {
      return; // It emits nothing.
    }
    const files = project.emitted('.run');
    expect(files).not.toEqual([]);
    const runs = await Promise.allSettled(
      files.map((file) => run(process.execPath, [file], { cwd: project.folder, timeout: 120_000 })),
    );
    const failures = runs.flatMap((one, i) =>
      one.status === 'rejected' ? [`${relative(project.folder, files[i] ?? '')}: ${String(one.reason)}`] : [],
    );
    expect(failures).toEqual([]);
  }, 240_000);
});
