import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';

/**
 * The network that a client's address counts for: an address of IPv4, or 64 bits of IPv6, because one line or one rented
 * server gets all the addresses below them. Everything that is no address counts as one.
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined || isIP(address) === 0) {
    return 'unknown';
  }
  if (isIPv4(address)) {
    return address;
  }
  const normal = new SocketAddress({ address, family: 'ipv6' }).address;
  const mapped = normal.replace(/^::ffff:/, '');
  return isIPv4(mapped) ? mapped : `${groupsOf(normal).slice(0, 4).join(':')}::/64`;
}

function groupsOf(address: string): readonly string[] {
  const [head = [], tail = []] = address.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail];
}

/**
 * Tells Express whom to trust with `X-Forwarded-*`: the peer of the connection, if it is in a private network, and nobody
 * behind it. If it trusted every private address, users in the proxy's own network could invent the address they come from.
 */
export function nearestProxy(): (address: string, hop: number) => boolean {
  const nearby = new BlockList();
  nearby.addSubnet('127.0.0.0', 8, 'ipv4');
  nearby.addSubnet('169.254.0.0', 16, 'ipv4');
  nearby.addSubnet('10.0.0.0', 8, 'ipv4');
  nearby.addSubnet('172.16.0.0', 12, 'ipv4');
  nearby.addSubnet('192.168.0.0', 16, 'ipv4');
  nearby.addAddress('::1', 'ipv6');
  nearby.addSubnet('fe80::', 10, 'ipv6');
  nearby.addSubnet('fc00::', 7, 'ipv6');
  return (address, hop) => hop === 0 && isIP(address) !== 0 && nearby.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}
