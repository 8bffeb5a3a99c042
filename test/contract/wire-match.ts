import type { WireAnswer, WireExpectation } from './wire-case.types';

/**
 * Compares a response with the recorded one.
 *
 * @param expected the recorded response, with its placeholders replaced
 * @returns one line per difference
 */
export function differences(expected: WireExpectation, answer: WireAnswer): string[] {
  const found: string[] = [];
  if (expected.status !== answer.status) {
    found.push(`status: expected ${expected.status}, got ${answer.status} ${answer.text.slice(0, 300)}`);
  }
  for (const [name, wanted] of Object.entries(expected.headers ?? {})) {
    const got = answer.headers[name];
    const fits =
      wanted === 'absent' ? got === undefined : got !== undefined && (wanted === 'present' || fitsText(wanted, got));
    if (!fits) {
      found.push(`header ${name}: expected ${wanted}, got ${show(got)}`);
    }
  }
  const { body, tracing } = parseAnswer(answer);
  if (expected.tracing && expected.tracing !== tracing) {
    found.push(`tracing extension: expected ${expected.tracing}, got ${tracing ?? 'no OperationOutcome'}`);
  }
  if (expected.body === '<empty>') {
    return answer.text === '' ? found : [...found, `body: expected none, got ${show(body)}`];
  }
  return expected.body === undefined
    ? found
    : [...found, ...compare(expected.body, body, '', expected.unordered ?? [])];
}

/** Splits a response into its body without the tracing extension, and whether it had that extension. */
export function parseAnswer({ text, headers }: WireAnswer): { body: unknown; tracing?: 'present' | 'absent' } {
  if (!String(headers['content-type'] ?? '').includes('json') || text === '') {
    return { body: text };
  }
  const body = JSON.parse(text) as Record<string, unknown>;
  if (body.resourceType !== 'OperationOutcome') {
    return { body };
  }
  const { extension, ...rest } = body;
  const others = (Array.isArray(extension) ? extension : []).filter(({ url }) => !String(url).endsWith('/tracing'));
  const tracing = Array.isArray(extension) && others.length < extension.length ? 'present' : 'absent';
  return { body: others.length > 0 ? { ...rest, extension: others } : rest, tracing };
}

function compare(expected: unknown, actual: unknown, at: string, unordered: readonly string[]): string[] {
  if (expected === '<absent>') {
    return actual === undefined ? [] : [`${at}: expected to be missing, got ${show(actual)}`];
  }
  if (expected === '<any>') {
    return actual === undefined || actual === null ? [`${at}: expected a value, got ${show(actual)}`] : [];
  }
  if (typeof expected === 'string') {
    return typeof actual === 'string' && fitsText(expected, actual) ? [] : [unequal(expected, actual, at)];
  }
  if (Array.isArray(expected)) {
    return compareLists(expected, actual, at, unordered);
  }
  if (expected && typeof expected === 'object') {
    return compareObjects(expected as Record<string, unknown>, actual, at, unordered);
  }
  return expected === actual ? [] : [unequal(expected, actual, at)];
}

function compareLists(expected: unknown[], actual: unknown, at: string, unordered: readonly string[]): string[] {
  if (!Array.isArray(actual) || actual.length !== expected.length) {
    return [unequal(`${expected.length} element(s)`, actual, at)];
  }
  if (!unordered.includes(at)) {
    return expected.flatMap((element, index) => compare(element, actual[index], `${at}[${index}]`, unordered));
  }
  const left: unknown[] = [...actual];
  return expected.flatMap((element) => {
    const index = left.findIndex((candidate) => compare(element, candidate, at, unordered).length === 0);
    left.splice(Math.max(index, 0), index < 0 ? 0 : 1);
    return index < 0 ? [`${at}: no element is like ${show(element)}`] : [];
  });
}

function compareObjects(
  expected: Record<string, unknown>,
  actual: unknown,
  at: string,
  unordered: readonly string[],
): string[] {
  if (!actual || typeof actual !== 'object' || Array.isArray(actual)) {
    return [unequal('an object', actual, at)];
  }
  const members = actual as Record<string, unknown>;
  const { '<only>': only, ...wanted } = expected;
  const inner = (key: string): string => (at ? `${at}.${key}` : key);
  const superfluous = only ? Object.keys(members).filter((key) => !(key in wanted)) : [];
  return [
    ...Object.entries(wanted).flatMap(([key, value]) => compare(value, members[key], inner(key), unordered)),
    ...superfluous.map((key) => `${inner(key)}: not expected, got ${show(members[key])}`),
  ];
}

/** `<any>` inside a text stands for one or more characters. */
function fitsText(pattern: string, text: string | string[]): boolean {
  const escaped = pattern.split('<any>').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.+')}$`, 's').test(String(text));
}

function unequal(expected: unknown, actual: unknown, at: string): string {
  return `${at || 'body'}: expected ${show(expected)}, got ${show(actual)}`;
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 300);
}
