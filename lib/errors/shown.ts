/** What names and codes of errors look like. Anything else might be a text that quotes something. */
const WORD = /^\w{1,64}$/;

/** What names of options and parameters look like. What has more digits may be an id, or a secret, in the wrong place. */
const NAME = /^(?!(?:\D*\d){3})[A-Za-z_][\w.:-]{0,63}$/;

/** The name and code of a foreign error, as far as they are words: its message quotes bodies, hosts and values. */
export function shownError(error: unknown): { readonly name: string; readonly code?: string } {
  const [name, code] = [part(error, 'name'), part(error, 'code')];
  return { name: name ?? 'Error', ...(code === undefined ? {} : { code }) };
}

/** The name of an option or a parameter, as a message may repeat it. */
export function shownName(name: string): string {
  return NAME.test(name) ? name : '(name withheld)';
}

function part(error: unknown, key: 'name' | 'code'): string | undefined {
  try {
    const value: unknown = (Object(error) as Record<string, unknown>)[key];
    return typeof value === 'string' && WORD.test(value) ? value : undefined;
  } catch {
    // A getter of somebody else's.
    return undefined;
  }
}
