import { inRange } from '../../lib/cli/doctor/app/version-range';
import { type Check, ok, runChecks } from '../../lib/cli/doctor/check';
import { redacted } from '../../lib/cli/doctor/redact';
import { textReport } from '../../lib/cli/doctor/report';
import { accessTable } from '../../lib/cli/doctor/server/access-table';
import { baseUrlCandidates } from '../../lib/cli/doctor/server/base-url-candidates';

describe('inRange', () => {
  it.each([
    ['1.2.3', '1.2.3', true],
    ['1.2.4', '1.2.3', false],
    ['v1.2.3', '=1.2.3', true],
    ['11.1.6', '^11.0.0 || ^12.0.0', true],
    ['10.4.0', '^11.0.0 || ^12.0.0', false],
    ['13.0.0', '^11.0.0 || ^12.0.0', false],
    ['0.2.2', '^0.2.0', true],
    ['0.3.0', '^0.2.0', false],
    ['0.0.4', '^0.0.3', false],
    ['5.2.13', '~5.2.1', true],
    ['5.3.0', '~5.2.1', false],
    ['20.18.0', '^20.19.0 || >=22.12.0', false],
    ['22.12.0', '^20.19.0 || >=22.12.0', true],
    ['24.1.0', '>= 20 <25', true],
    ['25.0.0', '>= 20 <25', false],
    ['20.5.0', '>20', false],
    ['20.5.0', '<=20', true],
    ['21.0.0', '<=20', false],
    ['20.5.0', '20.x', true],
    ['21.5.0', '20', false],
    ['1.9.9', '1.2 - 1.9', true],
    ['2.0.0', '1.2 - 1.9', false],
    ['3.0.0', '*', true],
    ['3.0.0', '', true],
    ['12.0.0-next.1', '^12.0.0', true],
    ['12.0.0', 'next', undefined],
    ['12.0.0', 'file:../nest', undefined],
    ['latest', '^12.0.0', undefined],
  ])('%s in %j is %s', (version, range, expected) => {
    expect(inRange(version, range)).toBe(expected);
  });
});

describe('baseUrlCandidates', () => {
  it.each([
    ['https://api.medplum.com', '/fhir/R4/', ['https://api.medplum.com/']],
    ['https://app.medplum.com', '/', ['https://api.medplum.com/']],
    ['https://app.medplum.com', '/signin/', ['https://app.medplum.com/', 'https://api.medplum.com/signin/']],
    ['http://medplum.example', '/', ['https://medplum.example/']],
    [
      'http://app.medplum.example:8080',
      '/',
      ['https://app.medplum.example:8080/', 'https://api.medplum.example:8080/'],
    ],
    ['http://127.0.0.1:8103', '/oauth2/token/', ['http://127.0.0.1:8103/', 'https://127.0.0.1:8103/']],
    ['https://localhost:8103', '/', ['http://localhost:8103/']],
    ['https://host.example', '/projects/p/fhir/R4/', ['https://host.example/projects/p/', 'https://host.example/']],
  ])('of %s%s are first on the same host, and contain the right one', (origin, path, expected) => {
    const found = baseUrlCandidates({ origin, path }).map((one) => one.origin + one.path);
    expect(found).toEqual(expect.arrayContaining(expected));
    expect(found).not.toContain(origin + path);
    expect(new Set(found).size).toBe(found.length);
    const elsewhere = found.findIndex((one) => !one.startsWith(`${origin}/`));
    expect(found.slice(elsewhere === -1 ? found.length : elsewhere).some((one) => one.startsWith(`${origin}/`))).toBe(
      false,
    );
  });

  it('never downgrade another host to http', () => {
    const found = baseUrlCandidates({ origin: 'https://app.medplum.example', path: '/fhir/R4/' });
    expect(found.every(({ origin }) => origin.startsWith('https:'))).toBe(true);
  });
});

describe('accessTable', () => {
  it('adds rules up, and knows what a wildcard does not cover', () => {
    const rules = [
      { resourceType: '*', readonly: true },
      { resourceType: 'Patient', criteria: 'Patient?active=true' },
      { resourceType: 'Task', writeConstraint: [{ language: 'text/fhirpath' as const, expression: 'true' }] },
      { resourceType: 'Binary', criteria: 'Binary?x=y' },
      { resourceType: 'AccessPolicy', interaction: ['search' as const] },
      { resourceType: 'ProjectMembership', interaction: ['read' as const] },
    ];
    const may = (line: '5.0' | '5.2') =>
      Object.fromEntries(accessTable(rules, line).map((row) => [row.resourceType, row.may]));
    expect(accessTable(rules, '5.0').at(-1)?.resourceType).toBe('*');
    expect(may('5.0')).toMatchObject({
      '*': { read: 'all', create: 'none' },
      Patient: { read: 'all', create: 'some', delete: 'some' },
      Task: { read: 'all', create: 'some', update: 'some', delete: 'all' },
      Binary: { create: 'all' },
      AccessPolicy: { read: 'all', search: 'all' },
      ProjectMembership: { read: 'all', search: 'none' },
    });
    expect(may('5.2').AccessPolicy).toMatchObject({ read: 'none', search: 'all' });
  });

  it('leaves rules out that name no type', () => {
    expect(accessTable([{ resourceType: 'x\u001B[31m' }, null as never], '5.0')).toEqual([]);
    expect(accessTable(undefined, '5.0')).toEqual([]);
  });
});

describe('redacted', () => {
  const secret = 'S3cret/with+signs=';

  it.each([
    secret,
    secret.toLowerCase(),
    encodeURIComponent(secret),
    Buffer.from(`client:${secret}`).toString('base64'),
  ])('removes %s', (form) => {
    expect(redacted(`before ${form} after`, 'client', secret)).not.toContain(form.replace(/=+$/, ''));
  });

  it('leaves words alone that are a short secret by chance', () => {
    expect(redacted('The server refuses.', 'client', 'server')).toBe('The server refuses.');
  });
});

describe('runChecks', () => {
  it('goes on when a check itself fails, and does not show its error', async () => {
    const checks: Check<object>[] = [
      {
        name: 'broken',
        run: () => {
          throw new Error('with a value');
        },
      },
      { name: 'pointless', skip: () => 'of this', run: () => [ok('not reached')] },
      { name: 'sound', run: () => Promise.resolve([ok('fine'), ok('fine too')]) },
    ];
    const findings = await runChecks(checks, {});
    expect(findings.map(({ check, level, what }) => `${check} ${level} ${what}`)).toEqual([
      'broken error The check itself failed.',
      'pointless skipped because of this',
      'sound ok fine',
      'sound ok fine too',
    ]);
    expect(JSON.stringify(findings)).not.toContain('with a value');
  });
});

describe('textReport', () => {
  it('marks the levels in words, and in colours only if asked', () => {
    const findings = [
      { check: 'one', level: 'error' as const, what: 'It is broken.', why: 'It fails.', fix: 'Mend it.' },
      { check: 'two', level: 'warning' as const, what: 'It is odd.' },
    ];
    const report = { parts: [{ title: 'Part', findings }] };
    const plain = textReport(report, false);
    expect(plain).toBe(
      [
        'Part',
        '  error    one          It is broken.',
        '                        why: It fails.',
        '                        fix: Mend it.',
        '  warning  two          It is odd.',
        '',
        'not healthy: 1 error, 1 warning',
        '',
      ].join('\n'),
    );
    const colored = textReport(report, true);
    expect(colored).toContain('\u001B[31merror  \u001B[0m');
    // oxlint-disable-next-line no-control-regex -- the escape of ANSI colours
    expect(colored.replaceAll(/\u001B\[\d+m/g, '')).toBe(plain);
  });
});
