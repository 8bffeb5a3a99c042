import * as fc from 'fast-check';
import { isReadOnly } from '../../lib/fhir/graphql-document';

describe('A GraphQL document', () => {
  it.each([
    '{ Patient(id: "1") { id } }',
    'query { Patient(id: "1") { id } }',
    'query Names($id: ID! = "mutation", $in: Filter = { a: { b: [1, -2.5e3] } }) @cached(for: {s: 5}) { Patient { id } }',
    'fragment Name on Patient { name } query { Patient { ...Name } }',
    'query A { x } query B { y }',
    '# mutation\n{ x }',
    '# mutation\r{ x }',
    '{ x(text: "mutation { y }") }',
    '{ x(text: """mutation { "quoted" \\""" still text }""") }',
    '{ mutation: Patient { mutation } }',
    '\uFEFF, ,{ x ,}',
    '{ x(text: "", other: """""") }',
  ])('%j reads only', (document) => {
    expect(isReadOnly(document)).toBe(true);
  });

  it.each([
    'mutation { PatientCreate { id } }',
    'query { x } mutation { y }',
    '{ x } mutation M { y }',
    // A comment ends at a lone CR, so the mutation behind it counts.
    '{ x } # harmless\rmutation { y }',
    // `\"""` does not end a block string, so the text below ends later than it seems.
    '{ x(text: """ \\""" """) } mutation { y(text: """ """) }',
    '"""text""" mutation { y }',
    'subscription { x }',
    'type Patient { id: ID }',
    'extend type Patient { id: ID }',
    '{ x ',
    '{ x } }',
    '{ x ) }',
    '{ x(text: "a\nb") }',
    '{ x(text: "open) }',
    '{ x ? y }',
  ])('%j counts as one that may write', (document) => {
    expect(isReadOnly(document)).toBe(false);
  });

  it('with a mutation is never read-only, wherever it stands among queries, comments and texts', () => {
    const query = fc.constantFrom('{ a }', 'query Q { a(b: "}") }', 'fragment F on P { a }');
    const filler = fc.constantFrom(' ', '\n', ',', '# "\n', '# """\r', '\r\n', '#}\n');
    const part = fc.oneof(query, filler);
    fc.assert(
      fc.property(fc.array(part), fc.array(part), (before, after) => {
        expect(isReadOnly([...before, '\n', 'mutation M { b }', ...after].join(''))).toBe(false);
        expect(isReadOnly([...before, '\n{ a }', ...after].join(''))).toBe(true);
      }),
    );
  });
});
