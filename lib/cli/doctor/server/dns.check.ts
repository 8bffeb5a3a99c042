import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Check, ok, problem } from '../check';
import { failureCode } from '../../../http/transport-failure';
import { nameOf } from './settings.check';
import type { ServerContext } from './server-context';

/** Whether the name of the host has an address. */
export const dnsCheck: Check<ServerContext> = {
  name: 'dns',
  skip: ({ address, unreachable }) => (address ? undefined : unreachable),
  async run(context) {
    const { hostname } = new URL(context.address?.origin ?? '');
    if (isIP(hostname.replace(/^\[|\]$/g, '')) > 0) {
      return [ok(`${hostname} is an address and needs no look-up.`)];
    }
    try {
      const addresses = await lookup(hostname, { all: true });
      return [ok(`${hostname} has ${addresses.length} ${addresses.length === 1 ? 'address' : 'addresses'}.`)];
    } catch (error) {
      context.unreachable = 'the host has no address';
      const code = failureCode(error);
      return [
        problem(
          `${hostname} cannot be looked up (${code}).`,
          'Without an address there is nothing to connect to.',
          code === 'EAI_AGAIN'
            ? 'The name server did not respond. Check the network and the DNS settings of this machine or container.'
            : `Correct the host in ${nameOf(context.settings.baseUrl)}. If the name is right, check that this machine or container may look it up.`,
        ),
      ];
    }
  },
};
