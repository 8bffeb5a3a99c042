import { MemoryStore } from 'nestjs-medplum';
import { claimKey, WebhookClaim } from '../../lib/integrations/webhooks/webhook-claim';

/** Longer than a claim lasts that nobody renews, in ms. */
const LEASE = 10_000;

describe('WebhookClaim', () => {
  let store: MemoryStore;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
    store = new MemoryStore();
  });

  afterEach(() => jest.useRealTimers());

  const take = () => WebhookClaim.take(store, 'key');
  const taken = async () => {
    const claim = await take();
    expect(claim).toBeInstanceOf(WebhookClaim);
    return claim as WebhookClaim;
  };

  it('is held by one at a time', async () => {
    await taken();
    expect(await take()).toBe('running');
  });

  it('lasts as long as the handler runs', async () => {
    const claim = await taken();
    await jest.advanceTimersByTimeAsync(20 * LEASE);
    expect(await take()).toBe('running');
    await claim.release();
    await taken();
  });

  it('ends soon after its process has died', async () => {
    await store.add('key', 'running', LEASE);
    await jest.advanceTimersByTimeAsync(LEASE - 1);
    expect(await take()).toBe('running');
    await jest.advanceTimersByTimeAsync(1);
    await taken();
  });

  it('remembers what was handled for as long as it is told', async () => {
    const claim = await taken();
    await claim.finish(100 * LEASE);
    await jest.advanceTimersByTimeAsync(100 * LEASE - 1);
    expect(await take()).toBe('done');
    await jest.advanceTimersByTimeAsync(1);
    await taken();
  });

  it('leaves no timer behind', async () => {
    await (await taken()).finish(LEASE);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('lets a renewal under way come before the end', async () => {
    const claim = await taken();
    let answer: (() => void) | undefined;
    const set = jest.spyOn(store, 'set').mockImplementationOnce(async (...args) => {
      await new Promise<void>((resolve) => (answer = resolve));
      return MemoryStore.prototype.set.apply(store, args);
    });
    await jest.advanceTimersByTimeAsync(LEASE / 2);
    expect(set).toHaveBeenCalledTimes(1);
    const finished = claim.finish(LEASE);
    answer?.();
    await finished;
    expect(await take()).toBe('done');
  });

  it('goes on when a renewal fails', async () => {
    const claim = await taken();
    jest.spyOn(store, 'set').mockRejectedValueOnce(new Error('broken'));
    await jest.advanceTimersByTimeAsync(5 * LEASE);
    expect(await take()).toBe('running');
    await claim.finish(LEASE);
    expect(await take()).toBe('done');
  });
});

it('makes keys that differ in each part, and show none', () => {
  const keys = [
    claimKey('client', 'Hooks.patients', 'Patient', '1', 'a'),
    claimKey('other', 'Hooks.patients', 'Patient', '1', 'a'),
    claimKey('client', 'Hooks.others', 'Patient', '1', 'a'),
    claimKey('client', 'Hooks.patients', 'Observation', '1', 'a'),
    claimKey('client', 'Hooks.patients', 'Patient', '1a', ''),
    claimKey('client', 'Hooks.patients', 'Patient', '1', 'b'),
    claimKey('client', 'Hooks.patients', 'Patient', '1', undefined),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.every((key) => /^medplum-webhook:[\w-]{43}$/.test(key))).toBe(true);
});
