import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';
import type { INestApplicationContext, Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { WrongUsage } from '../cli-command';
import type { RoutesFlags } from './routes-flags';

/** An app that was read, and not started. */
export interface OpenApp {
  readonly modules: ModulesContainer;
  close(): Promise<void>;
}

/**
 * Reads the modules of an app in Nest's preview mode: Nest scans the decorators, and creates no provider.
 *
 * @throws WrongUsage when there is no such file or class, Error when the module cannot be loaded.
 */
export async function openApp({ file, className }: Pick<RoutesFlags, 'file' | 'className'>): Promise<OpenApp> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new WrongUsage(`there is no file ${file}; build the app, and name the compiled file of its root module`);
  }
  if (/\.[cm]?ts$/.test(path)) {
    throw new WrongUsage(`${file} is TypeScript; build the app, and name the compiled file of its root module`);
  }
  if (/^main\.[cm]?js$/.test(basename(path))) {
    throw new WrongUsage(`loading ${file} would start the app; name the compiled file of its root module`);
  }
  // The Nest of the app, and not another copy: its module reads what that one wrote.
  const requireFromApp = createRequire(path);
  const module = rootModuleOf(load(requireFromApp, path, file), className, file);
  const core = requireFromApp('@nestjs/core') as typeof import('@nestjs/core');
  // Modules on this list are created in the preview, too. GraphQLModule is, and would write its schema file.
  core.InitializeOnPreviewAllowlist.has = (type) => type.name === 'InternalCoreModule';
  const app: INestApplicationContext = await core.NestFactory.createApplicationContext(module, {
    preview: true,
    abortOnError: false,
    logger: false,
  });
  return { modules: app.get(core.ModulesContainer), close: () => app.close() };
}

function load(requireFromApp: NodeJS.Require, path: string, file: string): Readonly<Record<string, unknown>> {
  try {
    // Node loads ES modules this way, too.
    return requireFromApp(path) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const why = (error as { readonly code?: unknown }).code;
    throw new Error(
      why === 'ERR_REQUIRE_ASYNC_MODULE'
        ? `${file} cannot be loaded, because it or one of its imports uses a top-level await; move that into a function`
        : `${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

function rootModuleOf(
  exported: Readonly<Record<string, unknown>>,
  className: string | undefined,
  file: string,
): Type | object {
  const classes = Object.entries(exported).filter(([, value]) => typeof value === 'function');
  const found =
    classes.find(([name]) => name === (className ?? 'AppModule')) ??
    (className === undefined && classes.length === 1 ? classes[0] : undefined);
  if (!found) {
    const names = classes.map(([name]) => name).join(', ') || 'none';
    throw new WrongUsage(
      `${file} has no ${className ?? 'AppModule'}; name the class of the root module behind a # (classes there: ${names})`,
    );
  }
  return found[1] as Type;
}
