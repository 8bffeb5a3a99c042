/**
 * The direction of imports between the rooms of lib/: module/service -> on-behalf-of, fhir, audit -> http -> errors.
 * `http/`, `fhir/` and `errors/` know neither Nest nor nestjs-cls, so that they can be read, tested and measured alone.
 */
const outside = (...rooms) => ({ path: '^lib/', pathNot: rooms.map((room) => `^lib/${room}/`) });

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
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
      name: 'testing-stands-alone',
      severity: 'error',
      comment:
        'The library never imports its own test subpath; the embedded Medplum knows the library only by its public face.',
      from: { path: '^lib/', pathNot: '^lib/testing/' },
      to: { path: '^lib/testing/' },
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
      from: { path: '^lib/', pathNot: '^lib/testing/' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'],
        pathNot: 'node_modules/(@nestjs/(common|core)|nestjs-cls|rxjs|reflect-metadata|undici|@medplum/fhirtypes)/',
      },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: '\\.d\\.ts$' }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'require', 'node', 'default'] },
  },
};
