import { AttemptCounter } from '../../sample-app/auth/attempt-counter';

const WINDOW = 1000;

function counter(): AttemptCounter {
  return new AttemptCounter({ attempts: 2, window: WINDOW, keys: 3 });
}

describe('AttemptCounter', () => {
  let now = 0;
  beforeEach(() => {
    now = 1_000_000;
    jest.spyOn(Date, 'now').mockImplementation(() => now);
  });
  afterEach(() => jest.restoreAllMocks());

  it('lets a key wait until its window ends, which begins with the first attempt', () => {
    const attempts = counter();
    attempts.add('a');
    now += 400;
    expect(attempts.wait('a')).toBe(0);
    attempts.add('a');
    expect([attempts.wait('a'), attempts.wait('b')]).toEqual([600, 0]);
    now += 599;
    expect(attempts.wait('a')).toBe(1);
    now += 1;
    expect(attempts.wait('a')).toBe(0);
    expect(attempts.size).toBe(0);
  });

  it('never keeps more keys than it may, and forgets the oldest first', () => {
    const attempts = counter();
    for (const key of ['a', 'a', 'b', 'b', 'c', 'c', 'd']) {
      attempts.add(key);
    }
    expect(attempts.size).toBe(3);
    expect(['a', 'b', 'c', 'd'].map((key) => attempts.wait(key))).toEqual([0, WINDOW, WINDOW, 0]);
    for (let index = 0; index < 1000; index += 1) {
      attempts.add(`key-${index}`);
    }
    expect(attempts.size).toBe(3);
  });

  it('makes room when windows end, and does not forget a key for an attempt of another one that it knows', () => {
    const attempts = counter();
    attempts.add('a');
    attempts.add('b');
    now += WINDOW - 1;
    attempts.add('c');
    attempts.add('c');
    attempts.add('b');
    expect(attempts.size).toBe(3);
    now += 1;
    attempts.add('d');
    expect(attempts.size).toBe(2);
    expect(attempts.wait('c')).toBe(WINDOW - 1);
  });

  it('takes back single attempts, or forgets a key', () => {
    const attempts = counter();
    attempts.takeBack('a');
    attempts.add('a');
    attempts.add('a');
    attempts.takeBack('a');
    expect(attempts.wait('a')).toBe(0);
    attempts.add('a');
    expect(attempts.wait('a')).toBe(WINDOW);
    attempts.forget('a');
    expect(attempts.wait('a')).toBe(0);
  });
});
