/**
 * Imports in lib/ only point down: the root -> module, client -> calls -> on-behalf-of, fhir, audit, http -> errors, shared.
 * The rooms on-behalf-of, fhir, audit and http do not import each other; calls/ joins them. `http/`, `fhir/`, `errors/`
 * and `shared/` import neither Nest nor nestjs-cls, so that you can read, test and measure them on their own.
 * test/packaging/rooms.spec.ts breaks each of these rules once and expects a refusal.
 */
const outside = (...rooms) => ({ path: '^lib/', pathNot: rooms.map((room) => `^lib/${room}/`) });

/** Rooms that are separate entries of the package (`nestjs-medplum/testing` …). They may load their optional peers. */
const SUBPATHS = '^lib/(testing|integrations|cli)/';

/** What every room may import. */
const BOTTOM = ['errors', 'shared'];

const PACKAGES = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unresolvable',
      severity: 'error',
      comment: 'An import that does not resolve would slip past every rule about node_modules.',
      from: {},
      to: { couldNotResolve: true },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: '\\.d\\.ts$' }, to: {} },

    // Rooms.
    { name: 'errors-import-nothing', severity: 'error', from: { path: '^lib/errors/' }, to: outside('errors') },
    { name: 'shared-imports-nothing', severity: 'error', from: { path: '^lib/shared/' }, to: outside('shared') },
    { name: 'http-imports-down', severity: 'error', from: { path: '^lib/http/' }, to: outside('http', ...BOTTOM) },
    {
      name: 'exceptions-import-errors',
      severity: 'error',
      from: { path: '^lib/exceptions/' },
      to: outside('exceptions', 'errors'),
    },
    {
      name: 'audit-imports-down',
      severity: 'error',
      from: { path: '^lib/audit/' },
      to: outside('audit', ...BOTTOM),
    },
    {
      name: 'fhir-imports-down',
      severity: 'error',
      from: { path: '^lib/fhir/' },
      to: outside('fhir', ...BOTTOM),
    },
    {
      name: 'delegation-imports-down',
      severity: 'error',
      comment: 'What a token says and whether it is genuine depends neither on scopes nor on the server.',
      from: { path: '^lib/delegation/' },
      to: outside('delegation', ...BOTTOM),
    },
    {
      name: 'on-behalf-of-imports-down',
      severity: 'error',
      comment: 'Who a call acts as depends neither on what it asks for nor on how it is sent.',
      from: { path: '^lib/on-behalf-of/' },
      to: outside('on-behalf-of', ...BOTTOM),
    },
    {
      name: 'calls-import-down',
      severity: 'error',
      from: { path: '^lib/calls/' },
      to: outside('calls', 'on-behalf-of', 'delegation', 'fhir', 'audit', 'http', ...BOTTOM),
    },
    {
      name: 'client-imports-down',
      severity: 'error',
      from: { path: '^lib/client/' },
      to: outside('client', 'calls', 'on-behalf-of', 'delegation', 'fhir', 'audit', 'http', ...BOTTOM),
    },
    {
      name: 'subpaths-are-leaves',
      severity: 'error',
      comment: 'The root entry must load without the optional peers, so nothing in it imports a subpath.',
      from: { path: '^lib/', pathNot: SUBPATHS },
      to: { path: SUBPATHS },
    },
    {
      name: 'testing-stands-alone',
      severity: 'error',
      comment: 'The embedded Medplum uses only the public API of the library.',
      from: { path: '^lib/testing/' },
      to: { path: '^lib/', pathNot: ['^lib/testing/', '^lib/index\\.ts$'] },
    },
    {
      name: 'doctor-imports-down',
      severity: 'error',
      comment: 'The doctor must load in an app whose peers are missing, so it uses only rooms that import no Nest.',
      from: { path: '^lib/cli/doctor' },
      to: {
        path: '^lib/',
        pathNot: [
          '^lib/cli/(doctor|cli-command)',
          '^lib/(http|fhir|errors|shared)/',
          '^lib/on-behalf-of/on-behalf-of\\.reference\\.ts$',
        ],
      },
    },
    {
      name: 'integrations-stand-apart',
      severity: 'error',
      comment: 'An app that installs the peers of one subpath may lack those of another.',
      from: { path: '^lib/integrations/([^/]+)/' },
      to: { path: SUBPATHS, pathNot: '^lib/integrations/$1/' },
    },

    // Packages.
    {
      name: 'errors-import-no-package',
      severity: 'error',
      from: { path: '^lib/(errors|shared)/' },
      to: { dependencyTypes: PACKAGES, pathNot: 'node_modules/@medplum/fhirtypes/' },
    },
    {
      name: 'no-nest-below-the-service',
      severity: 'error',
      from: { path: '^lib/(http|fhir|delegation|errors|shared)/' },
      to: { path: 'node_modules/(@nestjs/|nestjs-cls|reflect-metadata)' },
    },
    {
      name: 'doctor-imports-no-peer',
      severity: 'error',
      from: { path: '^lib/cli/doctor' },
      to: { dependencyTypes: PACKAGES, pathNot: 'node_modules/(undici|@medplum/fhirtypes)/' },
    },
    {
      name: 'root-imports-only-peers-and-dependencies',
      severity: 'error',
      comment: 'An app installs only Nest, rxjs, nestjs-cls and this package.',
      from: { path: '^lib/', pathNot: SUBPATHS },
      to: {
        dependencyTypes: PACKAGES,
        pathNot:
          'node_modules/(@nestjs/(common|core)|nestjs-cls|rxjs|reflect-metadata|undici|jose|@medplum/fhirtypes)/',
      },
    },
    {
      name: 'jose-is-loaded-late',
      severity: 'error',
      comment:
        'It takes long to load, and most apps delegate nothing. client/delegations.ts loads it with the first token.',
      from: { path: '^lib/', pathNot: '^lib/(delegation/delegation-token|client/delegations)\\.ts$' },
      to: { path: ['node_modules/jose/', '^lib/delegation/delegation-token\\.ts$'] },
    },
    {
      name: 'fhirtypes-are-types',
      severity: 'error',
      comment: 'The package contains only declarations. Use `import type`, because Node fails to load it.',
      from: { path: '^lib/' },
      to: { path: 'node_modules/@medplum/fhirtypes/', dependencyTypesNot: ['type-only'] },
    },

    // The sample app.
    {
      name: 'sample-app-imports-by-name',
      severity: 'error',
      comment: 'It shows what an app writes: nestjs-medplum, never ../lib.',
      from: { path: '^sample-app/' },
      to: { path: '^(lib|test)/', dependencyTypesNot: ['aliased'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'require', 'import', 'node', 'default'],
      mainFields: ['types', 'main'], // @medplum/fhirtypes has nothing but types
    },
  },
};
