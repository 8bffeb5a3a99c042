import type { Address, HumanName } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';

/** One part of one name or address, and its words in lower case. */
export interface WordRow {
  readonly text: string | undefined;
  readonly words: readonly string[];
}

/** Names and addresses compare by words: each word of the search must begin a word of one and the same row. */

/** The part of each name that `name`, `given` or `family` searches. */
export function nameRows(names: readonly HumanName[], code: 'name' | 'given' | 'family'): WordRow[] {
  return names
    .map((name) => ({
      name: fullName(name) || undefined,
      given: core.formatGivenName(name) || undefined,
      family: core.formatFamilyName(name) || undefined,
    }))
    .filter((row) => row.name ?? row.given ?? row.family)
    .map((row) => wordRow(row[code]));
}

/** The formatted name, with the words of its text that are not part of it. */
function fullName(name: HumanName): string {
  const formatted = core.formatHumanName(name);
  const known = new Set(formatted.toLowerCase().split(/\s+/));
  const further = [...new Set((name.text ?? '').toLowerCase().split(/\s+/))].filter((word) => word && !known.has(word));
  return [formatted, ...further].join(' ').trim();
}

const PRECEDENCE: Readonly<Record<string, number>> = {
  usual: 1,
  official: 2,
  temp: 4,
  nickname: 5,
  anonymous: 6,
  old: 7,
  maiden: 8,
};

/** What the server sorts by: the name whose use comes first, and of several such names the first in the alphabet. */
export function nameSortKey(names: readonly HumanName[], code: 'name' | 'given' | 'family'): string | undefined {
  const keys = names.flatMap((name) => {
    const text = nameRows([name], code)[0]?.text;
    return text ? [{ text, precedence: PRECEDENCE[name.use ?? ''] ?? 3 }] : [];
  });
  keys.sort((a, b) => a.precedence - b.precedence || a.text.localeCompare(b.text));
  return keys[0]?.text;
}

/** The part of each address that `address`, `address-city` and so on search. */
export function addressRows(addresses: readonly (Address | undefined)[], code: string): WordRow[] {
  return addresses
    .flatMap((address) => address ?? [])
    .map((address) => ({
      address: core.formatAddress(address) || undefined,
      'address-city': address.city?.trim() || undefined,
      'address-country': address.country?.trim() || undefined,
      'address-postalcode': address.postalCode?.trim() || undefined,
      'address-state': address.state?.trim() || undefined,
      'address-use': address.use?.trim() || undefined,
    }))
    .filter((row) => Object.values(row).some((part) => part !== undefined))
    .map((row) => wordRow(row[code as keyof typeof row]));
}

function wordRow(text: string | undefined): WordRow {
  return { text, words: wordsOf(text ?? '') };
}

/** Words in lower case. Punctuation and hyphens separate them. */
export function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^\p{Letter}\p{Number}]+/u)
    .filter(Boolean);
}
