import { type Check, ok, problem, warning } from '../check';
import type { BehaviourLine, ServerContext } from './server-context';

const LINES: Readonly<Record<BehaviourLine, string>> = {
  '5.0':
    'It behaves like 5.0: it refuses an identity with 403, 404, 410 or 400, and only an update (PUT) by id honours If-Match. The library handles this. Test with the serverVersion 5.0 of the emulator.',
  '5.2':
    'It behaves like 5.2: it refuses an identity with 400 "Authentication error", and updates, patches and deletes honour If-Match. The library handles this. Test with the serverVersion 5.2 of the emulator.',
};

/** Which Medplum it is, which of the two known behaviours it has, and whether its parts work. */
export const versionCheck: Check<ServerContext> = {
  name: 'version',
  skip: ({ noServer }) => noServer,
  run(context) {
    const { version, last } = context;
    const [major = 0, minor = 0] = version?.split('.').map(Number) ?? [];
    // Only newer servers name the request in every response.
    const isNewer = version === undefined ? last?.header('x-request-id') !== undefined : major > 5 || minor > 0;
    context.line = isNewer ? '5.2' : '5.0';
    const findings = [versionFinding(version, major, context.line)];
    if (!context.serverWorks) {
      const fix = 'Look at the log of the Medplum server, and check its PostgreSQL and Redis.';
      findings.push(problem('The server says that it is not healthy.', 'Calls may fail or hang.', fix));
    }
    return findings;
  },
};

function versionFinding(version: string | undefined, major: number, line: BehaviourLine) {
  if (version === undefined) {
    return warning(
      `The server does not say its version. ${LINES[line]}`,
      'Releases of Medplum differ. This is a guess from the headers of one response.',
      'Let the proxy in front of Medplum pass /healthcheck or /fhir/R4/metadata on.',
    );
  }
  if (major !== 5) {
    return warning(
      `This is Medplum ${version}. The library is tested with 5.0 and 5.2.`,
      'Other releases may respond to a refused identity or to If-Match in other ways.',
      major < 5 ? 'Update the Medplum server.' : 'Look for a newer release of nestjs-medplum.',
    );
  }
  return ok(`This is Medplum ${version}. ${LINES[line]}`);
}
