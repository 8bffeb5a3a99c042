/** The objects in a list that came over the wire: what its type promises, the server may not have kept. */
export function objects<T extends object>(list: readonly T[] | undefined): readonly T[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'object' && item !== null) : [];
}
