import { Logger } from '@nestjs/common';
import { isMilliseconds } from '../../shared/milliseconds';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { MedplumConnectionError } from '../../errors/transport.errors';
import type { MedplumStore } from '../../shared/medplum-store';
import { within } from '../../shared/within';

/** What the store uses of a client of `ioredis`: a `Redis` or a `Cluster`. */
export interface RedisStoreClient {
  /** `SET key value PX milliseconds NX`. */
  set(key: string, value: string, px: 'PX', milliseconds: number, nx: 'NX'): Promise<'OK' | null>;
  /** `SET key value PX milliseconds`. */
  set(key: string, value: string, px: 'PX', milliseconds: number): Promise<'OK'>;
  /** `GET key`. */
  get(key: string): Promise<string | null>;
  /** `DEL key`. */
  del(key: string): Promise<number>;
}

/** Options of {@link RedisStore}. */
export interface RedisStoreOptions {
  /** What all keys begin with. Default `nestjs-medplum:`. */
  readonly prefix?: string | undefined;
  /** How long one command may take, in ms. Without a limit, `ioredis` waits for Redis to come back. Default 1,000. */
  readonly timeout?: number | undefined;
}

/**
 * A store in Redis, which all instances of an app share. You open the client of `ioredis`, and you close it.
 *
 * Without Redis every method rejects with `MedplumConnectionError`, so what protects against replay is refused. The log says
 * once that Redis is away, and once that it is back. Neither logs nor errors hold a key or a value.
 *
 * @example
 * ```ts
 * MedplumModule.forRoot({ clientId, clientSecret, store: new RedisStore(new Redis(url)) })
 * ```
 */
export class RedisStore implements MedplumStore {
  readonly #redis: RedisStoreClient;
  readonly #prefix: string;
  readonly #timeout: number;
  readonly #logger = new Logger('Medplum');
  #isAway = false;

  /** @throws MedplumConfigError for something that is not a client, and for wrong options. */
  constructor(redis: RedisStoreClient, { prefix = 'nestjs-medplum:', timeout = 1_000 }: RedisStoreOptions = {}) {
    if (typeof redis?.set !== 'function' || typeof redis.get !== 'function' || typeof redis.del !== 'function') {
      throw new MedplumConfigError('RedisStore needs a client of ioredis, and was given something else.');
    }
    if (typeof prefix !== 'string' || !isMilliseconds(timeout)) {
      throw new MedplumConfigError(
        'The options of RedisStore are wrong: prefix must be text, and timeout a number of milliseconds between 1 and 2147483647.',
      );
    }
    this.#redis = redis;
    this.#prefix = prefix;
    this.#timeout = timeout;
  }

  /** @inheritDoc */
  async add(key: string, value: string, milliseconds: number): Promise<boolean> {
    // One command, so Redis decides which of several processes was first.
    return (await this.#do(() => this.#redis.set(this.#prefix + key, value, 'PX', whole(milliseconds), 'NX'))) === 'OK';
  }

  /** @inheritDoc */
  async get(key: string): Promise<string | undefined> {
    return (await this.#do(() => this.#redis.get(this.#prefix + key))) ?? undefined;
  }

  /** @inheritDoc */
  async set(key: string, value: string, milliseconds: number): Promise<void> {
    await this.#do(() => this.#redis.set(this.#prefix + key, value, 'PX', whole(milliseconds)));
  }

  /** @inheritDoc */
  async delete(key: string): Promise<void> {
    await this.#do(() => this.#redis.del(this.#prefix + key));
  }

  async #do<T>(command: () => Promise<T>): Promise<T> {
    try {
      const reply = await within(this.#timeout, command);
      if (this.#isAway) {
        this.#isAway = false;
        this.#logger.log('The Redis of the store responds again.');
      }
      return reply;
    } catch (cause) {
      if (!this.#isAway) {
        this.#isAway = true;
        this.#logger.error(
          'The Redis of the store does not respond, or refuses commands. What needs the store is refused until it does. This is logged once.',
        );
      }
      // The message of the cause may quote the command. Only its name and code are kept.
      throw new MedplumConnectionError(
        'The Redis of the store did not carry out a command. Check that Redis runs and that the app may use it.',
        { cause, retryable: true },
      );
    }
  }
}

/** Redis takes whole milliseconds, at least one. */
function whole(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds));
}
