import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');

/** Forbidden imports: the rule that must refuse each, the file it is in, and the content of the file. */
const PLANTED: readonly (readonly [rule: string, file: string, source: string])[] = [
  ['no-circular', 'lib/http/circle.ts', `import './circle';`],
  ['no-unresolvable', 'lib/http/nowhere.ts', `import 'not-installed-anywhere';`],
  ['no-orphans', 'lib/forgotten.ts', `export const nobodyImportsThis = true;`],
  ['errors-import-nothing', 'lib/errors/to-http.ts', `import '../http/retry.options';`],
  ['errors-import-no-package', 'lib/errors/to-undici.ts', `import 'undici';`],
  ['shared-imports-nothing', 'lib/shared/to-errors.ts', `import '../errors/shown';`],
  ['http-imports-down', 'lib/http/to-fhir.ts', `import '../fhir/fhir-request';`],
  ['exceptions-import-errors', 'lib/exceptions/to-http.ts', `import '../http/retry.options';`],
  ['http-imports-down', 'lib/http/to-service.ts', `import '../medplum.service';`],
  ['audit-imports-down', 'lib/audit/to-on-behalf-of.ts', `import '../on-behalf-of/identity';`],
  ['audit-imports-down', 'lib/audit/to-http.ts', `import '../http/retry.options';`],
  ['fhir-imports-down', 'lib/fhir/to-http.ts', `import '../http/retry.options';`],
  ['fhir-imports-down', 'lib/fhir/to-audit.ts', `import '../audit/request-event';`],
  ['delegation-imports-down', 'lib/delegation/to-on-behalf-of.ts', `import '../on-behalf-of/identity';`],
  ['no-nest-below-the-service', 'lib/delegation/to-nest.ts', `import { Injectable } from '@nestjs/common';`],
  ['jose-is-loaded-late', 'lib/client/to-jose.ts', `import 'jose';`],
  ['jose-is-loaded-late', 'lib/client/to-token.ts', `import '../delegation/delegation-token';`],
  ['on-behalf-of-imports-down', 'lib/on-behalf-of/to-fhir.ts', `import type {} from '../fhir/fhir-request';`],
  ['on-behalf-of-imports-down', 'lib/on-behalf-of/to-http.ts', `import '../http/retry.options';`],
  ['calls-import-down', 'lib/calls/to-service.ts', `import type {} from '../medplum.service';`],
  ['client-imports-down', 'lib/client/to-module.ts', `import '../module/core.module';`],
  ['subpaths-are-leaves', 'lib/to-testing.ts', `import './testing/index';`],
  ['subpaths-are-leaves', 'lib/to-cli.ts', `import './cli/planted';`],
  ['doctor-imports-down', 'lib/cli/doctor/to-service.ts', `import type {} from '../../medplum.service';`],
  ['doctor-imports-down', 'lib/cli/doctor/to-calls.ts', `import '../../calls/membership-check';`],
  ['doctor-imports-no-peer', 'lib/cli/doctor/to-nest.ts', `import { Logger } from '@nestjs/common';`],
  ['doctor-imports-no-peer', 'lib/cli/doctor/to-core.ts', `export const later = import('@medplum/core');`],
  ['testing-stands-alone', 'lib/testing/to-http.ts', `import '../http/retry.options';`],
  ['integrations-stand-apart', 'lib/integrations/one/to-another.ts', `import '../planted';`],
  ['integrations-stand-apart', 'lib/integrations/one/to-testing.ts', `import '../../testing/index';`],
  ['no-nest-below-the-service', 'lib/http/to-nest.ts', `import { Injectable } from '@nestjs/common';`],
  ['no-nest-below-the-service', 'lib/http/to-nest-types.ts', `import type { Type } from '@nestjs/common';`],
  ['no-nest-below-the-service', 'lib/fhir/to-cls.ts', `import { ClsService } from 'nestjs-cls';`],
  ['no-nest-below-the-service', 'lib/errors/to-metadata.ts', `import 'reflect-metadata';`],
  ['root-imports-only-peers-and-dependencies', 'lib/to-core.ts', `import { MedplumClient } from '@medplum/core';`],
  ['root-imports-only-peers-and-dependencies', 'lib/to-core-types.ts', `import type {} from '@medplum/core';`],
  ['root-imports-only-peers-and-dependencies', 'lib/to-core-later.ts', `export const later = import('@medplum/core');`],
  ['root-imports-only-peers-and-dependencies', 'lib/http/to-otel.ts', `import { trace } from '@opentelemetry/api';`],
  ['root-imports-only-peers-and-dependencies', 'lib/to-dev.ts', `import '@nestjs/platform-express';`],
  ['fhirtypes-are-types', 'lib/fhir/to-fhirtypes.ts', `import { Patient } from '@medplum/fhirtypes';`],
  ['sample-app-imports-by-name', 'sample-app/to-lib.ts', `import { MedplumService } from '../lib/index';`],
];

/** Allowed imports. Without them, a rule that refuses everything would pass the list above. */
const ALLOWED: readonly (readonly [file: string, source: string])[] = [
  ['lib/errors/types.ts', `import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };`],
  ['lib/http/down.ts', `import { Agent } from 'undici';\nimport '../errors/medplum.error';`],
  [
    'lib/join.ts',
    `import { Module } from '@nestjs/common';\nimport { ClsModule } from 'nestjs-cls';\nimport './http/down';`,
  ],
  ['lib/testing/peers.ts', `import { MedplumClient } from '@medplum/core';\nimport '../index';`],
  ['lib/cli/doctor/down.ts', `import { Pool } from 'undici';\nimport '../../http/retry.options';`],
  ['lib/cli/planted.ts', `import { MedplumClient } from '@medplum/core';`],
  ['lib/integrations/planted.ts', `import { MedplumClient } from '@medplum/core';`],
  ['lib/integrations/one/planted.ts', `import '../../medplum.service';\nimport './to-another';`],
  ['sample-app/by-name.ts', `import 'nestjs-medplum';\nimport 'nestjs-medplum/testing';`],
];

interface CruiseReport {
  readonly summary: {
    readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string }[];
  };
}

/** Copies the library, adds the planted files, and returns `rule file` for everything that the rules refuse. */
function cruiseWithPlanted(): string[] {
  const copy = mkdtempSync(join(tmpdir(), 'rooms-'));
  try {
    for (const name of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json', 'lib']) {
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'), 'dir');
    for (const [file, source] of [...PLANTED.map(([, ...planted]) => planted), ...ALLOWED]) {
      mkdirSync(dirname(join(copy, file)), { recursive: true });
      writeFileSync(join(copy, file), `${source}\n`);
    }
    const tool = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
    const options = ['--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
    const { stdout, stderr } = spawnSync(process.execPath, [tool, ...options, 'lib', 'sample-app'], {
      cwd: copy,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    if (!stdout.startsWith('{')) {
      throw new Error(`dependency-cruiser gave no report: ${stderr}`);
    }
    return (JSON.parse(stdout) as CruiseReport).summary.violations.map(({ rule, from }) => `${rule.name} ${from}`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

describe('the import rules', () => {
  let refused: string[];

  beforeAll(() => {
    refused = cruiseWithPlanted();
  }, 120_000);

  it.each(PLANTED)('%s refuses %s', (rule, file) => {
    expect(refused).toContain(`${rule} ${file}`);
  });

  it.each(ALLOWED)('allow %s', (file) => {
    expect(refused.filter((violation) => violation.endsWith(` ${file}`))).toEqual([]);
  });
});
