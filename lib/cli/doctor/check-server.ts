import { type CheckedFinding, runChecks } from './check';
import type { ServerSettings } from './doctor-settings';
import { accessCheck } from './server/access.check';
import { adminCheck } from './server/admin.check';
import { baseUrlCheck } from './server/base-url.check';
import { clockCheck } from './server/clock.check';
import { credentialsCheck } from './server/credentials.check';
import { dnsCheck } from './server/dns.check';
import { identityCheck } from './server/identity.check';
import { quotaCheck } from './server/quota.check';
import { ServerContext } from './server/server-context';
import { ServerProbe } from './server/server-probe';
import { settingsCheck } from './server/settings.check';
import { tlsCheck } from './server/tls.check';
import { versionCheck } from './server/version.check';

/** In this order: each check uses what the ones before it found. */
const CHECKS = [
  settingsCheck,
  dnsCheck,
  tlsCheck,
  baseUrlCheck,
  versionCheck,
  clockCheck,
  credentialsCheck,
  adminCheck,
  quotaCheck,
  identityCheck,
  accessCheck,
];

/** Checks the server, the client and the identity. It changes nothing on the server. */
export async function checkServer(settings: ServerSettings): Promise<CheckedFinding[]> {
  const probe = new ServerProbe(settings.timeout);
  try {
    return await runChecks(CHECKS, new ServerContext(settings, probe));
  } finally {
    await probe.close();
  }
}
