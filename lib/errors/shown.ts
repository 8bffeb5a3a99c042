/** The form of an error's name or code. Any other text might quote a value. */
const WORD = /^\w{1,64}$/;

/** The form of an option's or a parameter's name. A name with three digits or more may be a misplaced id or secret. */
const NAME = /^(?!(?:\D*\d){3})[A-Za-z_][\w.:-]{0,63}$/;

/** The name and code of a foreign error, if they are single words. Its message may quote bodies, hosts and values. */
export function shownError(error: unknown): { readonly name: string; readonly code?: string } {
  const [name, code] = [part(error, 'name'), part(error, 'code')];
  return { name: name ?? 'Error', ...(code === undefined ? {} : { code }) };
}

/** The name of an option or a parameter, in a form that a message may show. */
export function shownName(name: string): string {
  return NAME.test(name) ? name : '(name withheld)';
}

function part(error: unknown, key: 'name' | 'code'): string | undefined {
  try {
    const value: unknown = (Object(error) as Record<string, unknown>)[key];
    return typeof value === 'string' && WORD.test(value) ? value : undefined;
  } catch {
    // The property is a getter that throws.
    return undefined;
  }
}
