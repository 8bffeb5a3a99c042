export { RedisStore } from './redis-store';
export type { RedisStoreClient, RedisStoreOptions } from './redis-store';
