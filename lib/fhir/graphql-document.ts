/**
 * A token of a GraphQL document (GraphQL specification, October 2021, section 2.1). Line ends are LF and CR, so a comment
 * ends at a lone CR. `\"""` does not end a block string.
 */
const TOKEN =
  /[\uFEFF\t\n\r ,]+|#[^\n\r]*|(?<text>"""(?:\\"""|(?!""")[^])*"""|"(?!"")(?:\\.|[^"\\\n\r])*"|"")|(?<name>[A-Za-z_]\w*)|(?<number>-?\d[\w.+-]*)|(?<punctuator>\.\.\.|[!$&()=:@[\]{|}])/y;

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' };

/**
 * Whether every definition of a document is a query or a fragment, so that running it changes nothing. A document that
 * cannot be read counts as one that may write.
 */
export function isReadOnly(document: string): boolean {
  const open: string[] = [];
  let definition: string | undefined;
  TOKEN.lastIndex = 0;
  for (let end = 0; end < document.length; end = TOKEN.lastIndex) {
    const { name, punctuator, text, number } = TOKEN.exec(document)?.groups ?? {};
    if (TOKEN.lastIndex === 0) {
      return false;
    }
    const token = name ?? punctuator;
    if (token === undefined && text === undefined && number === undefined) {
      continue;
    }
    if (definition === undefined) {
      // `{ … }` alone is a query (section 2.3).
      if (token !== 'query' && token !== 'fragment' && token !== '{') {
        return false;
      }
      definition = token;
    }
    const closing = token === undefined ? undefined : CLOSING[token];
    if (closing !== undefined) {
      open.push(closing);
    } else if (token === '}' || token === ')' || token === ']') {
      if (open.pop() !== token) {
        return false;
      }
      // The selection set ends its definition.
      if (token === '}' && open.length === 0) {
        definition = undefined;
      }
    }
  }
  return open.length === 0 && definition === undefined;
}
