import { type Check, ok, problem, warning } from '../check';
import type { ServerContext } from './server-context';

/** Differences in seconds. `Date` has whole seconds, and proxies add some delay. */
const NOTICEABLE = 30;
const HARMFUL = 300;

/** Whether the clocks of this machine and of the server agree (RFC 9110 section 6.6.1). */
export const clockCheck: Check<ServerContext> = {
  name: 'clock',
  skip: ({ noServer }) => noServer,
  run({ last }) {
    const date = Date.parse(last?.header('date') ?? '');
    if (!last || Number.isNaN(date)) {
      const fix = 'Let the proxy in front of Medplum pass the header on.';
      return [warning('The server sends no Date header.', 'The clocks cannot be compared.', fix)];
    }
    // The server wrote its time between the two moments; within them, every difference is delay.
    const ahead = Math.max(date - last.arrivedAt, last.sentAt - date - 1000, 0);
    const seconds = Math.round(ahead / 1000);
    if (seconds < NOTICEABLE) {
      return [ok(`The clocks agree within ${NOTICEABLE} seconds.`)];
    }
    const what = `The clock of this machine is ${seconds} seconds ${date < last.sentAt ? 'ahead of' : 'behind'} that of the server.`;
    const why = 'Tokens and signed links seem expired, or last too long, and the times in the audit trail are wrong.';
    const fix = 'Synchronise both clocks with NTP. In a virtual machine or container, look at the host.';
    return [seconds < HARMFUL ? warning(what, why, fix) : problem(what, why, fix)];
  },
};
