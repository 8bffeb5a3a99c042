import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AttemptCounter } from './attempt-counter';
import { networkOf } from './network-address';

const WINDOW_MS = 15 * 60 * 1000;
const BY_NAME = 5;
/** Higher, because all users in a building may share one address. */
const BY_ADDRESS = 30;
/** Each attempt costs a scrypt, so it takes about a window to push a count out by filling the counter. */
const KEYS = 50_000;

/**
 * Limits login attempts by name and by network address. The counts are in memory: an app that runs in several processes
 * has to keep them in a store that these share.
 */
@Injectable()
export class LoginLimit {
  readonly #names = new AttemptCounter({ attempts: BY_NAME, window: WINDOW_MS, keys: KEYS });
  readonly #addresses = new AttemptCounter({ attempts: BY_ADDRESS, window: WINDOW_MS, keys: KEYS });

  /**
   * Counts an attempt before its password is verified, so that attempts at the same time do not slip through. An attempt
   * that has to wait does not count: otherwise a locked address could go on to lock names.
   *
   * @returns how long the caller has to wait, in ms; 0 for an attempt that may go on.
   */
  begin(name: string, address: string | undefined): number {
    const wait = Math.max(this.#names.wait(keyOf(name)), this.#addresses.wait(networkOf(address)));
    if (wait === 0) {
      this.#names.add(keyOf(name));
      this.#addresses.add(networkOf(address));
    }
    return wait;
  }

  /**
   * Forgets the failures of the name. Those of the address stay, or an attacker could clear them by logging in as
   * themselves; only the attempt that succeeded no longer counts.
   */
  succeeded(name: string, address: string | undefined): void {
    this.#names.forget(keyOf(name));
    this.#addresses.takeBack(networkOf(address));
  }
}

/** A hash, because people type their password into the wrong field. */
function keyOf(name: string): string {
  return createHash('sha256').update(name).digest('base64url');
}
