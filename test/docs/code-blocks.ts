import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

export const ROOT = resolve(__dirname, '../..');

/** A block of code in a page. */
export interface CodeBlock {
  /** Language of the fence, such as `ts`. */
  readonly language: string;
  readonly code: string;
  /** Line of the page on which the code begins, from 1. */
  readonly line: number;
  /** Where a fragment belongs: the comment `<!-- wrap: options -->` before the block. */
  readonly wrap: string | undefined;
}

/** A page of the documentation: the README or a file in `docs/`. */
export interface Page {
  /** Path from the root of the repository. */
  readonly path: string;
  /** Path without slashes and ending, for folders. */
  readonly name: string;
  readonly text: string;
  readonly blocks: readonly CodeBlock[];
}

/** One file of a page's small project, made from a block. */
export interface BlockFile {
  /** Path in the folder of the page. */
  readonly path: string;
  readonly source: string;
  /** What to add to a line of `source` to get the line of the page. */
  readonly offset: number;
}

/** Every page with documentation for users. */
export function readPages(): Page[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path));
  return ['README.md', ...docs.toSorted()].map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const name = relative('docs', path).replace('../', '').replaceAll('/', '-').replace('.md', '').toLowerCase();
    return { path, name, text, blocks: blocksOf(text) };
  });
}

function blocksOf(text: string): CodeBlock[] {
  const fence = /(?:^ *<!-- wrap: (?<wrap>\w+) -->\n+)?^(?<indent> *)```(?<language>\w*)\n(?<code>[^]*?)^ *```$/gm;
  return [...text.matchAll(fence)].map((match) => {
    const { wrap, indent = '', language = '', code = '' } = match.groups ?? {};
    const before = text.slice(0, match.index + match[0].indexOf('```'));
    const unindented = code.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    return { language, code: unindented, line: before.split('\n').length + 1, wrap };
  });
}

/** How fragments become modules, each on the line on which it stands. */
const WRAPS: Readonly<Record<string, (code: string) => string>> = {
  options: (code) => `export const options: import('nestjs-medplum').MedplumModuleOptions = { ...given, ${code} };`,
  function: (code) => `export async function example() { ${code} }`,
};

/**
 * The file that a block of TypeScript becomes. A block whose first line is a comment with a file name is that file. Any
 * other is a module of its own.
 */
export function fileOf({ code, line, wrap }: CodeBlock): BlockFile {
  const named = /^\/\/ ([\w./-]+\.ts)\b.*\n/.exec(code);
  const wrapped = wrap === undefined ? code : WRAPS[wrap]?.(code);
  if (wrapped === undefined) {
    throw new Error(`There is no wrap ${wrap}.`);
  }
  const isModule = /^(import|export) /m.test(wrapped);
  return {
    path: named?.[1] ?? `block-${line}.ts`,
    source: isModule ? wrapped : `${wrapped}\nexport {};\n`,
    offset: line - 1,
  };
}
