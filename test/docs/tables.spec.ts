import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as root from 'nestjs-medplum';
import { MedplumError } from 'nestjs-medplum';
import * as ts from 'typescript';
import { exceptionAnswer } from '../../lib/exceptions/exception-answer';
import { ROOT } from './code-blocks';

/** The cells of every row of the tables in a page whose first cell is code. */
function rowsOf(page: string): string[][] {
  return readFileSync(join(ROOT, page), 'utf8')
    .split('\n')
    .filter((line) => /^\| `\w+`/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
}

/** The fields of an interface of the library, without those that it inherits. */
function fieldsOf(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.ES2022, true);
  const found = source.statements.find((one) => ts.isInterfaceDeclaration(one) && one.name.text === name);
  return (found as ts.InterfaceDeclaration).members.map((member) => member.name?.getText() ?? '');
}

describe('docs/options.md', () => {
  const names = rowsOf('docs/options.md').map(([name]) => name);

  it.each([
    ['lib/medplum.options.ts', 'MedplumModuleOptions'],
    ['lib/medplum.module.ts', 'MedplumModuleExtras'],
    ['lib/http/retry.options.ts', 'MedplumCallRetryOptions'],
    ['lib/http/retry.options.ts', 'MedplumRetryOptions'],
    ['lib/http/pool.ts', 'MedplumPoolOptions'],
    ['lib/delegation/delegation.options.ts', 'MedplumDelegationOptions'],
    ['lib/calls/membership-check.ts', 'MembershipCheckOptions'],
    ['lib/audit/audit-sink.ts', 'MedplumAuditSinkOptions'],
    ['lib/audit/audit-sink.ts', 'MedplumAuditOptions'],
  ])('has every option of %s, %s', (file, name) => {
    const fields = fieldsOf(file, name);
    expect(fields).not.toEqual([]);
    expect(fields.filter((field) => !names.includes(field))).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  const rows = rowsOf('docs/errors.md').filter(([code]) => code?.startsWith('MEDPLUM_'));
  const errors = Object.values(root)
    .filter((value) => Object.getPrototypeOf(value) === MedplumError)
    .map((value) => value as unknown as new (message: string, details?: object) => MedplumError);

  it('has every error class with its code, and no other', () => {
    const exported = errors.map((one) => [new one('').code, one.name]);
    expect(rows.map(([code, name]) => [code, name])).toEqual(
      exported.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
    );
  });

  it.each(errors.map((one) => [one.name, one] as const))('says how an app responds to %s', (name, type) => {
    const row = rows.find((cells) => cells[1] === name);
    expect(row?.slice(2, 4)).not.toContain('');
    expect(row?.[4]?.split(/\D+/)).toContain(String(exceptionAnswer(new type('')).status));
  });
});
