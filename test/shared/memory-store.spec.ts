import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { MemoryStore } from 'nestjs-medplum';

describe('MemoryStore', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('adds a key once, until it expires', async () => {
    const store = new MemoryStore();
    expect(await store.add('key', 'first', 1_000)).toBe(true);
    expect(await store.add('key', 'second', 1_000)).toBe(false);
    expect(await store.get('key')).toBe('first');
    jest.advanceTimersByTime(999);
    expect(await store.add('key', 'second', 1_000)).toBe(false);
    jest.advanceTimersByTime(1);
    expect(await store.get('key')).toBeUndefined();
    expect(await store.add('key', 'second', 1_000)).toBe(true);
    expect(await store.get('key')).toBe('second');
  });

  it('lets one of many callers add a key', async () => {
    const store = new MemoryStore();
    const added = await Promise.all(Array.from({ length: 50 }, (_, i) => store.add('key', `${i}`, 1_000)));
    expect(added.filter(Boolean)).toHaveLength(1);
  });

  it('replaces and removes keys', async () => {
    const store = new MemoryStore();
    await store.add('key', 'first', 1_000);
    await store.set('key', 'second', 5_000);
    jest.advanceTimersByTime(4_999);
    expect(await store.get('key')).toBe('second');
    await store.delete('key');
    expect(await store.get('key')).toBeUndefined();
    expect(await store.add('key', 'third', 1_000)).toBe(true);
  });

  it('never forgets a key before its time, however many there are', async () => {
    const store = new MemoryStore();
    await store.add('first', '', 60_000);
    for (let i = 0; i < 10_000; i++) {
      await store.add(`other ${i}`, '', 10);
    }
    jest.advanceTimersByTime(59_999);
    for (let i = 0; i < 2_000; i++) {
      await store.add(`later ${i}`, '', 10);
    }
    expect(await store.add('first', '', 60_000)).toBe(false);
  });
});
