import { EventEmitter, once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { MedplumRequestOptions, MedplumService } from 'nestjs-medplum';
import { callAtRandom } from './kinds';
import type { Ledger } from './ledger';
import type { Random } from './random';
import { CLIENT, type Expected, NEVER, user } from './storm.types';

/** Short pieces of an app's code, each of which says who its calls have to act as. */
export class Scenes {
  readonly #medplum: MedplumService;
  readonly #ledger: Ledger;
  readonly #users: number;

  constructor(medplum: MedplumService, ledger: Ledger, users: number) {
    this.#medplum = medplum;
    this.#ledger = ledger;
    this.#users = users;
  }

  anybody(random: Random): Expected {
    return user(1 + random.below(this.#users));
  }

  /** Makes one call. Resolves to whether it succeeded. */
  call(
    random: Random,
    expected: Expected,
    options: MedplumRequestOptions = {},
    medplum: MedplumService = this.#medplum,
  ): Promise<boolean> {
    return this.#ledger.make(expected, (name, tally) => callAtRandom(medplum, random, name, tally, options));
  }

  /** Plays one to four scenes where calls without an identity of their own act as `ambient`, in turn or all at once. */
  async play(random: Random, ambient: Expected): Promise<void> {
    const inTurn = random.chance(0.5);
    const running: Promise<unknown>[] = [];
    for (let left = 1 + random.below(4); left > 0; left--) {
      const scene = this.#scene(random, ambient);
      running.push(scene);
      if (inTurn) {
        await scene;
      }
    }
    await Promise.all(running);
  }

  async #scene(random: Random, ambient: Expected): Promise<unknown> {
    const medplum = this.#medplum;
    const who = this.anybody(random);
    const header = who.header ?? '';
    switch (random.below(12)) {
      case 0:
        return medplum.onBehalfOf(header, () => this.#some(random, who));
      case 1:
        return medplum.onBehalfOf(header, async () => {
          await turn();
          await this.call(random, who);
        });
      case 2:
        return this.call(random, who, {}, medplum.actingAs(header));
      case 3:
        return this.call(random, who, { onBehalfOf: header });
      case 4:
        return medplum.asClientApplication(() => this.#some(random, CLIENT), { reason: 'storm' });
      case 5:
        return this.call(random, CLIENT, { onBehalfOf: '' });
      case 6:
        return this.#bound(random, who);
      case 7:
        return this.#late(random, who);
      default:
        return this.#some(random, ambient);
    }
  }

  /** One to three calls at once. */
  #some(random: Random, expected: Expected): Promise<unknown> {
    return Promise.all(Array.from({ length: 1 + random.below(3) }, () => this.call(random, expected)));
  }

  /** A bound function is called in the scope of somebody else, after its own has ended. */
  #bound(random: Random, who: Expected): Promise<boolean> {
    const medplum = this.#medplum;
    const bound = medplum.onBehalfOf(who.header ?? '', () => medplum.bind(() => this.call(random, who)));
    return medplum.onBehalfOf(this.anybody(random).header ?? '', bound);
  }

  /** A scope ends before the last work in it begins. */
  async #late(random: Random, who: Expected): Promise<void> {
    const ended = new EventEmitter();
    let late: Promise<unknown> | undefined;
    await this.#medplum.onBehalfOf(who.header ?? '', async () => {
      late = once(ended, 'end').then(() => this.call(random, NEVER));
      await this.call(random, who);
    });
    ended.emit('end');
    await late;
  }
}
