/**
 * What the docs' code uses of packages that this repository does not install, and the names that fragments leave open. The
 * code is compiled against these lines, so they say no more than the packages do.
 */
declare module '@nestjs/graphql' {
  export function Resolver(of?: string): ClassDecorator;
  export function Query(name?: string): MethodDecorator;
  export function ResolveField(name?: string): MethodDecorator;
  export function Args(name: string, options?: { type?: () => unknown }): ParameterDecorator;
  export function Parent(): ParameterDecorator;
  export const ID: object;
}

declare module '@nestjs/bullmq' {
  export function Processor(queue: string): ClassDecorator;
  export abstract class WorkerHost {
    abstract process(job: import('bullmq').Job, token?: string): Promise<unknown>;
  }
}

declare module 'bullmq' {
  interface JobsOptions {
    jobId?: string;
    attempts?: number;
  }
  export class Job<T = any> {
    data: T;
    id?: string;
    queueName: string;
    attemptsStarted: number;
    opts: JobsOptions;
  }
  export class Queue<T = any> {
    readonly name: string;
    add(name: string, data: T, options?: JobsOptions): Promise<Job<T>>;
    addBulk(jobs: { name: string; data: T; opts?: JobsOptions }[]): Promise<Job<T>[]>;
  }
}

declare module '@nestjs/cache-manager' {
  export class CacheInterceptor {
    protected trackBy(
      context: import('@nestjs/common').ExecutionContext,
    ): Promise<string | undefined | null> | string | undefined | null;
  }
}

declare module '@nestjs/swagger' {
  export class DocumentBuilder {
    setTitle(title: string): this;
    addBearerAuth(): this;
    build(): object;
  }
  export class SwaggerModule {
    static createDocument(app: import('@nestjs/common').INestApplication, config: object): { paths: object };
    static setup(path: string, app: import('@nestjs/common').INestApplication, document: () => object): void;
  }
}

declare module 'dataloader' {
  export default class DataLoader<K, V, C = K> {
    constructor(
      batch: (keys: readonly K[]) => PromiseLike<ArrayLike<V | Error>>,
      options?: { cacheKeyFn?: (key: K) => C },
    );
    load(key: K): Promise<V>;
  }
}

declare module 'unplugin-swc' {
  const swc: { vite(options: object): object };
  export default swc;
}

declare module 'vitest/config' {
  export function defineConfig(config: object): object;
}

/** The other options of the client. */
declare const given: import('nestjs-medplum').MedplumModuleOptions;
declare const FileAuditSink: typeof import('nestjs-medplum').FileAuditSink;
declare const key: Buffer;
declare const cls: { get(name: string): string | undefined };
declare const tenant: string;
declare const client: import('@medplum/core').MedplumClient;
declare const id: string;
declare const membership: string;
