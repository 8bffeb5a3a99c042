import type { AccessRow } from './server/access-table';

/** `error`: the app does not work, or is not safe, until it is mended. `warning`: it works, but may surprise you. */
export type FindingLevel = 'ok' | 'warning' | 'error' | 'skipped';

/**
 * What a check found. The texts hold no secret, no id of a record and no text of the server, because people paste reports
 * into issues.
 */
export interface Finding {
  readonly level: FindingLevel;
  /** What is right or wrong. For a skipped check: why it was skipped. */
  readonly what: string;
  /** Why it matters. */
  readonly why?: string;
  /** How to mend it. */
  readonly fix?: string;
  /** What the identity may do. Only the check `access` sets it. */
  readonly access?: readonly AccessRow[];
}

/** One check of the doctor. */
export interface Check<C> {
  /** Short name, in lower case. It is part of the JSON report. */
  readonly name: string;
  /** Says why the check would be pointless, or returns `undefined`. */
  skip?(context: C): string | undefined;
  /** Looks, and writes what later checks need into the context. */
  run(context: C): readonly Finding[] | Promise<readonly Finding[]>;
}

/** A finding, and the check that made it. */
export interface CheckedFinding extends Finding {
  readonly check: string;
}

/** All is well. */
export const ok = (what: string): Finding => ({ level: 'ok', what });

/** The app works, but may surprise you. */
export const warning = (what: string, why: string, fix: string): Finding => ({ level: 'warning', what, why, fix });

/** The app does not work, or is not safe. */
export const problem = (what: string, why: string, fix: string): Finding => ({ level: 'error', what, why, fix });

/** Runs the checks in order. A check that fails itself is an error, and the others still run. */
export async function runChecks<C>(checks: readonly Check<C>[], context: C): Promise<CheckedFinding[]> {
  const all: CheckedFinding[] = [];
  for (const check of checks) {
    for (const finding of await findingsOf(check, context)) {
      all.push({ check: check.name, ...finding });
    }
  }
  return all;
}

async function findingsOf<C>(check: Check<C>, context: C): Promise<readonly Finding[]> {
  const pointless = check.skip?.(context);
  if (pointless !== undefined) {
    return [{ level: 'skipped', what: `because ${pointless}` }];
  }
  try {
    return await check.run(context);
  } catch {
    // The error may quote a value, so it is not shown.
    return [
      problem(
        'The check itself failed.',
        'What it would have found is not known.',
        'Please report this as a bug of nestjs-medplum, with the versions of Node and nestjs-medplum.',
      ),
    ];
  }
}
