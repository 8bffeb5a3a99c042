import 'reflect-metadata';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const LIB = resolve(__dirname, '../../lib');

/** Metadata that Nest reads: the types of constructor parameters, and the tokens that `@Inject()` sets instead. */
const PARAMETER_TYPES = 'design:paramtypes';
const INJECTED_TOKENS = 'self:paramtypes';

type Class = new (...args: never[]) => unknown;

function isClass(value: unknown): value is Class {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Every exported class of the library with constructor parameters that Nest injects. */
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
 * If someone, or an import sorter, writes `import type` for an injected class, the code still compiles and passes the
 * linter. But the metadata is gone, and Nest cannot start.
 */
describe('classes with injected parameters', () => {
  const classes = injectingClasses();

  it('are found', () => {
    const some = ['MedplumHealthIndicator', 'OnBehalfOfGuard', 'OnBehalfOfInterceptor'];
    expect(classes.map(([name]) => name)).toEqual(expect.arrayContaining(some));
  });

  it.each(classes)('%s has a class or a token for each parameter', (_, injecting) => {
    const types = Reflect.getMetadata(PARAMETER_TYPES, injecting) as unknown[];
    const tokens = (Reflect.getMetadata(INJECTED_TOKENS, injecting) ?? []) as { index: number; param: unknown }[];
    const erased = types.filter((type, index) => {
      const token = tokens.find((candidate) => candidate.index === index);
      return token ? token.param === undefined : !isClass(type);
    });
    expect(erased).toEqual([]);
  });
});
