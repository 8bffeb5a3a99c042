type Version = readonly [major: number, minor: number, patch: number];
type Comparator = (version: Version) => boolean;

/** A version, or the beginning of one: `1`, `1.x`, `1.2`, `v1.2.3`, `1.2.3-rc.1+build`, `*`. */
const PARTIAL = /^[v=]*(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-[\w.-]+)?(?:\+[\w.-]+)?$/;

/**
 * Whether a version is in a range, as npm's semver reads it: `^`, `~`, comparisons, `x`, hyphens, blanks (and), `||` (or).
 * A prerelease counts as its release.
 *
 * @returns `undefined` if the range is a tag, an address, or something else that names no versions.
 */
export function inRange(version: string, range: string): boolean | undefined {
  const given = parse(version);
  const alternatives = range.split('||').map((alternative) => comparators(alternative.trim()));
  if (!given?.every(Number.isFinite) || !alternatives.every((one) => one !== undefined)) {
    return undefined;
  }
  return alternatives.some((all) => all.every((matches) => matches(given)));
}

function comparators(text: string): Comparator[] | undefined {
  const [, from, to] = /^(\S+)\s+-\s+(\S+)$/.exec(text) ?? [];
  const parts = from !== undefined && to !== undefined ? [`>=${from}`, `<=${to}`] : separate(text);
  const found = parts.map(comparator);
  return found.every((one) => one !== undefined) ? found : undefined;
}

/** `>= 1.2` is one comparator: the blank after the operator does not count. */
function separate(text: string): string[] {
  return text === '' ? ['*'] : text.replaceAll(/([<>=~^])\s+/g, '$1').split(/\s+/);
}

function comparator(text: string): Comparator | undefined {
  const [, operator = '', rest = ''] = /^(\^|~>?|>=|<=|>|<|=)?(.*)$/.exec(text) ?? [];
  const version = parse(rest);
  if (!version) {
    return undefined;
  }
  // Missing parts are NaN: they become 0 in the lowest version that matches, and everything in the first that does not.
  const least = version.map((part) => (Number.isNaN(part) ? 0 : part)) as unknown as Version;
  const next = after(version, operator);
  switch (operator) {
    case '>=':
      return (other) => compare(other, least) >= 0;
    case '<':
      return (other) => compare(other, least) < 0;
    case '>':
      return (other) => compare(other, next) >= 0;
    case '<=':
      return (other) => compare(other, next) < 0;
    default:
      return (other) => compare(other, least) >= 0 && compare(other, next) < 0;
  }
}

/** The first version behind those that a partial version, `~` or `^` covers. */
function after([major, minor, patch]: Version, operator: string): Version {
  if (Number.isNaN(major)) {
    return [Infinity, 0, 0];
  }
  if (Number.isNaN(minor) || (operator === '^' && major > 0)) {
    return [major + 1, 0, 0];
  }
  if (Number.isNaN(patch) || operator.startsWith('~') || (operator === '^' && minor > 0)) {
    return [major, minor + 1, 0];
  }
  return [major, minor, patch + 1];
}

function parse(text: string): Version | undefined {
  const match = PARTIAL.exec(text.trim());
  // `Number('x')` is NaN, like that of a missing part.
  return match ? [Number(match[1]), Number(match[2] ?? 'x'), Number(match[3] ?? 'x')] : undefined;
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
