import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readPages, ROOT } from './code-blocks';

const REPOSITORY = 'https://github.com/nestjs-medplum/nestjs-medplum';
const OTHERS = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md', 'sample-app/README.md'];

const pages = [
  ...readPages().map(({ path, text }) => ({ path, text })),
  ...OTHERS.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })),
];

/** The targets of links, code left out. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(/```[^]*?```/g, '').replaceAll(/`[^`\n]*`/g, 'code');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** The anchor that GitHub gives a heading. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** Why a link leads nowhere in this repository. */
function problemOf(path: string, target: string): string | undefined {
  const inRepository = /^(?:blob|tree)\/main\/(.*)$/.exec(target.replace(`${REPOSITORY}/`, ''))?.[1];
  if (target.startsWith('https:') && inRepository === undefined) {
    return undefined;
  }
  const [file = '', anchor] = (inRepository ?? target).split('#');
  const found = inRepository === undefined ? join(ROOT, dirname(path), file) : join(ROOT, file);
  const page = file === '' ? join(ROOT, path) : found;
  if (!existsSync(page)) {
    return `${path}: ${target} does not exist`;
  }
  if (inRepository !== undefined && target.includes('/tree/') !== statSync(page).isDirectory()) {
    return `${path}: ${target} mixes up blob and tree`;
  }
  return anchor === undefined || anchorsOf(readFileSync(page, 'utf8')).includes(anchor)
    ? undefined
    : `${path}: ${target} has no such heading`;
}

describe('Links', () => {
  it.each(pages.map(({ path, text }) => [path, text] as const))('of %s lead somewhere', (path, text) => {
    expect(linksOf(text).flatMap((target) => problemOf(path, target) ?? [])).toEqual([]);
  });

  it('of README.md are absolute, because the page of the package has nothing but that file', () => {
    const readme = pages.find(({ path }) => path === 'README.md')?.text ?? '';
    expect(linksOf(readme).filter((target) => !target.startsWith('https://'))).toEqual([]);
  });

  it('lead to every page', () => {
    const targets = pages.flatMap(({ path, text }) =>
      linksOf(text).map((target) =>
        target.startsWith(REPOSITORY) ? target.replace(`${REPOSITORY}/blob/main/`, '') : join(dirname(path), target),
      ),
    );
    const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
    const unreachable = docs
      .filter((path) => path.endsWith('.md'))
      .filter((path) => !targets.some((target) => target.split('#')[0] === join('docs', path)));
    expect(unreachable).toEqual([]);
  });
});

describe('README.md', () => {
  it('has at most 150 lines', () => {
    expect(pages[0]?.text.trimEnd().split('\n').length).toBeLessThanOrEqual(150);
  });
});

describe('The code blocks of the docs', () => {
  it('are in languages that are checked, or are no code of an app', () => {
    const languages = readPages().flatMap(({ path, blocks }) =>
      blocks
        .filter(({ language }) => !['ts', 'bash', 'json', 'text'].includes(language))
        .map(({ line }) => `${path}:${line}`),
    );
    expect(languages).toEqual([]);
  });

  it('are found, each of them', () => {
    for (const { path, text, blocks } of readPages()) {
      expect([path, blocks.length]).toEqual([path, [...text.matchAll(/^ *```\w/gm)].length]);
    }
  });
});
