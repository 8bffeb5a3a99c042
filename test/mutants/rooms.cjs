/** The mutated rooms of `lib/`, and the specs under `test/` that must find each fault in them. */
const ROOMS = {
  http: ['http/!(fault-matrix|listeners).spec.ts', 'errors/*.spec.ts', 'service/{binaries,call-tracing,fetch}.spec.ts'],
  calls: [
    'calls/*.spec.ts',
    'service/{bad-input,before-request,binaries,bulk,call-tracing,fetch,log-tag,membership-check,raw,refusal-log,resources,scope-capture,search}.spec.ts',
    'http/{caller-headers,dispatcher,time-limit}.spec.ts',
    'audit/require.spec.ts',
    'on-behalf-of/precedence.spec.ts',
    'e2e/disconnect.e2e-spec.ts',
  ],
  'on-behalf-of': [
    'on-behalf-of/*.spec.ts',
    'e2e/{app-context,disconnect,durable-resolvers,graphql,guards,lazy-answers,sources}.e2e-spec.ts',
    'contexts/{gateway-ws,rpc-tcp}.e2e-spec.ts',
  ],
};

module.exports = { ROOMS };
