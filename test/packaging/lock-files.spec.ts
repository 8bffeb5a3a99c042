import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
}

describe.each(['package-lock.json', 'compat/nest11/package-lock.json', 'compat/opentelemetry3/package-lock.json'])(
  '%s',
  (file) => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as Lock;
    const installed = Object.entries(packages).filter(([path]) => path !== '');

    it('names no registry: each installer uses their own', () => {
      expect(installed.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
    });

    it('has the checksum of every package', () => {
      const unchecked = installed.filter(([, { integrity, link, inBundle }]) => !integrity && !link && !inBundle);
      expect(unchecked.map(([path]) => path)).toEqual([]);
    });
  },
);
