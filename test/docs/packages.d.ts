/**
 * What the docs' code uses of packages that this repository does not install, and the names that fragments leave open. The
 * code is compiled against these lines, so they say no more than the packages do.
 */
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
declare const pager: { notify(text: string): void };
