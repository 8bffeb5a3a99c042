import { read } from '../../../fhir/interactions';
import { WireFailure } from '../../../http/wire';
import { type Check, type Finding, ok, problem, warning } from '../check';
import type { ServerContext } from './server-context';

/** With less left, the quota may be too small: some tens of writes (100 points each) or searches (20 points each). */
const FEW: Readonly<Record<string, number>> = { requests: 100, fhirInteractions: 2_500 };

/** What a name in the header counts. */
const NAMES: Readonly<Record<string, string>> = {
  requests: 'requests from this address',
  fhirInteractions: 'points for FHIR calls of this client',
};

/** How much of the quota of the running minute is left. All users of the app share it. */
export const quotaCheck: Check<ServerContext> = {
  name: 'quota',
  skip: ({ noClient }) => noClient,
  async run(context) {
    // Only FHIR routes name both limits. Reading one resource costs a single point, also if it is refused.
    const { path } = read('ProjectMembership', context.client?.membershipId ?? 'unknown');
    const response = await context.asClient(path);
    if (response instanceof WireFailure) {
      return [warning(`The connection broke (${response.code}).`, 'The quota is not known.', 'Run doctor again.')];
    }
    const limits = parseRateLimit(response.header('ratelimit') ?? '');
    if (response.status === 429 || limits.some(({ remaining }) => remaining === 0)) {
      return [usedUp(Math.max(0, ...limits.map(({ seconds }) => seconds)))];
    }
    if (limits.length === 0) {
      return [ok('The server sends no RateLimit header, so it has no quota, or a proxy removes the header.')];
    }
    const left = limits.map(({ name, remaining }) => `${remaining} ${NAMES[name] ?? 'of another limit'}`).join(', ');
    const isLow = limits.some(({ name, remaining }) => remaining < (FEW[name] ?? 0));
    return [
      isLow
        ? warning(
            `Little of the quota is left: ${left}.`,
            'When it is used up, calls of all users fail with MedplumRateLimitError until the minute ends.',
            'Make fewer searches and writes, or raise the limit on the server.',
          )
        : ok(`Left of the quota in this minute: ${left}.`),
    ];
  },
};

function usedUp(seconds: number): Finding {
  return problem(
    'The quota is used up.',
    'Calls of all users fail with MedplumRateLimitError, because they share the quota of the client.',
    `Wait ${seconds} seconds. If it happens often, make fewer searches and writes, or raise the limit on the server.`,
  );
}

interface Limit {
  readonly name: string;
  readonly remaining: number;
  /** Time until the limit starts anew, in seconds. */
  readonly seconds: number;
}

/** Reads `"requests";r=59975;t=9, "fhirInteractions";r=0;t=60`. */
function parseRateLimit(header: string): Limit[] {
  return [...header.matchAll(/"(\w{1,40})";\s*r=(\d{1,12});\s*t=(\d{1,9})/g)].map(
    ([, name = '', remaining, seconds]) => ({
      name,
      remaining: Number(remaining),
      seconds: Number(seconds),
    }),
  );
}
