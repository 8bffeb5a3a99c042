import { type MedplumApp } from '../../support/medplum-app';
import { startTaintedApp } from '../../support/tainted-app';
import { ANSWERED } from './answered.mishaps';
import { BROKEN } from './broken.mishaps';
import type { Mishap, Mishaps } from './mishap';
import { OWN } from './own.mishaps';
import { REFUSED } from './refused.mishaps';

export const MISHAPS: Mishaps = { ...ANSWERED, ...BROKEN, ...OWN, ...REFUSED };

/** The first mishap for each class of errors. */
export const ONE_OF_EACH: readonly (readonly [name: string, mishap: Mishap])[] = [
  ...new Map(
    Object.entries(MISHAPS)
      .toReversed()
      .map((entry) => [entry[1].error, entry] as const),
  ).values(),
];

/** Starts an app, makes the call of the mishap, and returns its error with the closed app. */
export async function have(
  { call, handler, options }: Mishap,
  more?: Parameters<typeof startTaintedApp>[2],
): Promise<{ readonly app: MedplumApp; readonly error: unknown }> {
  const app = await startTaintedApp(options, handler, more);
  try {
    const error: unknown = await (async () => call(app.medplum))().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return { app, error };
  } finally {
    await app.close();
  }
}
