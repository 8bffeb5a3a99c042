import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** Three words in a row: a sentence for people, not a header, a code or a key. */
const SENTENCE = /[a-z]+,? [a-z]+,? [a-z]+/i;

/** Expressions without a branch of their own: nothing is lost when they are left out along with the text. */
const PLAIN = new Set(['Identifier', 'MemberExpression']);

/**
 * Leaves out the texts of messages: emptying one proves little, and a test that repeats it even less. A template with a
 * condition in it is kept.
 */
const ignoreMessages = {
  shouldIgnore({ node }) {
    const isSentence =
      (node.type === 'StringLiteral' && SENTENCE.test(node.value)) ||
      (node.type === 'TemplateLiteral' &&
        node.quasis.some(({ value }) => SENTENCE.test(value.raw)) &&
        node.expressions.every(({ type }) => PLAIN.has(type)));
    return isSentence ? 'the text of a message' : undefined;
  },
};

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'messages', ignoreMessages)];
