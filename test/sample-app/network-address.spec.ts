import { nearestProxy, networkOf } from '../../sample-app/auth/network-address';

describe('networkOf()', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::1:2:3:4', '2001:db8:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, 'unknown'],
    ['', 'unknown'],
    ['203.0.113.7:443', 'unknown'],
    ['localhost', 'unknown'],
  ])('makes %s count as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('nearestProxy()', () => {
  const trusts = nearestProxy();

  it.each([
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.0.1',
    '169.254.0.1',
    'fd00::1',
    'fe80::1',
    'fe80::1%eth0',
  ])('trusts %s as the peer of the connection only', (address) => {
    expect([trusts(address, 0), trusts(address, 1), trusts(address, 2)]).toEqual([true, false, false]);
  });

  it.each(['203.0.113.7', '172.32.0.1', '::ffff:203.0.113.7', '2001:db8::1', '', 'localhost'])(
    'does not trust %j',
    (address) => {
      expect(trusts(address, 0)).toBe(false);
    },
  );
});
