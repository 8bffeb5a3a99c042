import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

type ResourceByType = { [R in Resource as R['resourceType']]: R };

/**
 * Makes the compiler refuse elements that FHIR does not define, at any depth, where a method infers `T` from a literal:
 * `resource: T & KnownElements<T>`. It is `unknown`, and so demands nothing, for values of a declared type.
 *
 * Inside a generic function, where `T` is still open, it demands nothing either: TypeScript then compares only with the
 * second branch of the condition, which is never taken for a type that is known.
 */
export type KnownElements<T extends Resource> = [[T] extends [never] ? 1 : never] extends [never]
  ? Known<T, ResourceByType[T['resourceType']]>
  : unknown;

/** What `T` needs beside its own type so that it has no key that `Defined` lacks. */
type Known<T, Defined> = [Defined] extends [T]
  ? unknown
  : [T] extends [never]
    ? unknown
    : T extends readonly (infer E)[]
      ? Defined extends readonly (infer D)[]
        ? readonly Known<E, D>[]
        : unknown
      : T extends { resourceType: keyof ResourceByType }
        ? KnownKeys<T, ResourceByType[T['resourceType']]>
        : T extends object
          ? KnownKeys<T, Defined>
          : unknown;

type KnownKeys<T, Defined> = [Defined] extends [T]
  ? unknown
  : {
      readonly [P in keyof T]: P extends keyof Defined
        ? Known<NonNullable<T[P]>, NonNullable<Defined[P]>> | undefined
        : `FHIR has no element ${P & string} here`;
    };
