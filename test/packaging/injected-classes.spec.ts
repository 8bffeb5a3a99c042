import 'reflect-metadata';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const LIB = resolve(__dirname, '../../lib');

/** What Nest reads: the types of a constructor's parameters, and the tokens that `@Inject()` puts in their place. */
const PARAMETER_TYPES = 'design:paramtypes';
const INJECTED_TOKENS = 'self:paramtypes';

type Class = new (...args: never[]) => unknown;

function isClass(value: unknown): value is Class {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Every class that a file of the library exports and that has constructor parameters which Nest is to fill in. */
function injectingClasses(): [name: string, injecting: Class][] {
  const exported = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/^(testing|cli)\//.test(file))
    .toSorted()
    .flatMap((file) => Object.values(require(join(LIB, file)) as Record<string, unknown>));
  return [...new Set(exported)]
    .filter(isClass)
    .filter((candidate) => candidate.length > 0 && Reflect.hasOwnMetadata(PARAMETER_TYPES, candidate))
    .map((injecting) => [injecting.name, injecting]);
}

/**
 * An `import type` of an injected class, or one that an import sorter made so, compiles and passes the linter: only the
 * metadata is gone, and Nest cannot start.
 */
describe('classes that Nest injects into', () => {
  const classes = injectingClasses();

  it('are found', () => {
    const some = ['MedplumHealthIndicator', 'OnBehalfOfGuard', 'OnBehalfOfInterceptor'];
    expect(classes.map(([name]) => name)).toEqual(expect.arrayContaining(some));
  });

  it.each(classes)('%s names real classes or tokens', (_, injecting) => {
    const types = Reflect.getMetadata(PARAMETER_TYPES, injecting) as unknown[];
    const tokens = (Reflect.getMetadata(INJECTED_TOKENS, injecting) ?? []) as { index: number; param: unknown }[];
    const erased = types.filter((type, index) => {
      const token = tokens.find((candidate) => candidate.index === index);
      return token ? token.param === undefined : !isClass(type);
    });
    expect(erased).toEqual([]);
  });
});
