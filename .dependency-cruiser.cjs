/**
 * The direction of imports between the rooms of lib/: module/service -> on-behalf-of, fhir, audit -> http -> errors.
 * `http/`, `fhir/` and `errors/` know neither Nest nor nestjs-cls, so that they can be read, tested and measured alone.
 * test/packaging/rooms.spec.ts breaks each of these rules once and sees it refused.
 */
const outside = (...rooms) => ({ path: '^lib/', pathNot: rooms.map((room) => `^lib/${room}/`) });

/** Rooms that are entries of their own (`nestjs-medplum/testing` …) and may load their optional peers. */
const SUBPATHS = '^lib/(testing|integrations|cli)/';

const PACKAGES = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unresolvable',
      severity: 'error',
      comment: 'What cannot be found would slip past every rule about node_modules.',
      from: {},
      to: { couldNotResolve: true },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: '\\.d\\.ts$' }, to: {} },

    // Rooms.
    { name: 'errors-import-nothing', severity: 'error', from: { path: '^lib/errors/' }, to: outside('errors') },
    { name: 'http-imports-errors', severity: 'error', from: { path: '^lib/http/' }, to: outside('http', 'errors') },
    {
      name: 'audit-imports-http',
      severity: 'error',
      from: { path: '^lib/audit/' },
      to: outside('audit', 'http', 'errors'),
    },
    {
      name: 'fhir-imports-http',
      severity: 'error',
      from: { path: '^lib/fhir/' },
      to: outside('fhir', 'http', 'errors'),
    },
    {
      name: 'on-behalf-of-imports-http',
      severity: 'error',
      comment: 'Only the module and the service join the rooms.',
      from: { path: '^lib/on-behalf-of/' },
      to: outside('on-behalf-of', 'http', 'errors'),
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
      comment: 'The embedded Medplum knows the library only by its public face.',
      from: { path: '^lib/testing/' },
      to: { path: '^lib/', pathNot: ['^lib/testing/', '^lib/index\\.ts$'] },
    },
    {
      name: 'integrations-stand-apart',
      severity: 'error',
      comment: 'Whoever installs the peer of one subpath need not have those of another.',
      from: { path: '^lib/integrations/([^/]+)/' },
      to: { path: SUBPATHS, pathNot: '^lib/integrations/$1/' },
    },

    // Packages.
    {
      name: 'errors-import-no-package',
      severity: 'error',
      from: { path: '^lib/errors/' },
      to: { dependencyTypes: PACKAGES, pathNot: 'node_modules/@medplum/fhirtypes/' },
    },
    {
      name: 'no-nest-below-the-service',
      severity: 'error',
      from: { path: '^lib/(http|fhir|errors)/' },
      to: { path: 'node_modules/(@nestjs/|nestjs-cls|reflect-metadata)' },
    },
    {
      name: 'root-imports-only-peers-and-dependencies',
      severity: 'error',
      comment: 'A consumer installs Nest, rxjs, nestjs-cls and this package, and nothing else.',
      from: { path: '^lib/', pathNot: SUBPATHS },
      to: {
        dependencyTypes: PACKAGES,
        pathNot: 'node_modules/(@nestjs/(common|core)|nestjs-cls|rxjs|reflect-metadata|undici|@medplum/fhirtypes)/',
      },
    },
    {
      name: 'fhirtypes-are-types',
      severity: 'error',
      comment: 'The package holds declarations only: `import type`, or Node fails where it loads it.',
      from: { path: '^lib/' },
      to: { path: 'node_modules/@medplum/fhirtypes/', dependencyTypesNot: ['type-only'] },
    },

    // The sample app.
    {
      name: 'sample-app-imports-by-name',
      severity: 'error',
      comment: 'It shows what a consumer writes: nestjs-medplum, never ../lib.',
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
