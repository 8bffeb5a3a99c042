import type { AppContext } from './app/app-context';
import { copiesCheck } from './app/copies.check';
import { decoratorsCheck } from './app/decorators.check';
import { nodeCheck } from './app/node.check';
import { peersCheck } from './app/peers.check';
import { type CheckedFinding, runChecks } from './check';

/** Checks the folder of an app: its packages, its Node and its build. It runs no code of the app. */
export function checkApp(app: AppContext): Promise<CheckedFinding[]> {
  return runChecks([copiesCheck, peersCheck, nodeCheck, decoratorsCheck], app);
}
