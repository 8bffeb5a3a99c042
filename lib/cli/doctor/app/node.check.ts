import { type Check, type Finding, ok, problem, warning } from '../check';
import { type AppContext, LIBRARY } from './app-context';
import { inRange } from './version-range';

/** Releases of Node at the edges of what packages support. */
const RELEASES = [
  '16.20.0',
  '18.20.0',
  '20.0.0',
  '20.18.0',
  '20.19.0',
  '21.7.0',
  '22.0.0',
  '22.11.0',
  '22.12.0',
  '23.11.0',
  '24.0.0',
  '26.0.0',
];

/** Whether this Node, and those that `engines` of the app allows, can run the library. */
export const nodeCheck: Check<AppContext> = {
  name: 'node',
  skip: ({ library }) => (library ? undefined : `${LIBRARY} is not installed`),
  run({ manifest, library }) {
    const needed = library?.manifest.object('engines').text('node') ?? '*';
    const wanted = manifest.object('engines').text('node');
    const { node } = process.versions;
    const findings: Finding[] = [];
    if (inRange(node, needed) === false) {
      const why = 'It uses features that this Node lacks.';
      findings.push(problem(`This is Node ${node}, but ${LIBRARY} needs ${needed}.`, why, 'Install a newer Node.'));
    }
    if (wanted !== undefined && inRange(node, wanted) === false) {
      const why = 'What doctor sees here may differ from what the app meets in production.';
      findings.push(
        warning(
          `This Node (${node}) is not one that "engines" of the app allows.`,
          why,
          'Run doctor with the Node of the app.',
        ),
      );
    }
    const refused = RELEASES.filter((one) => inRange(one, wanted ?? '') === true && inRange(one, needed) === false);
    if (wanted !== undefined && refused.length > 0) {
      findings.push(
        warning(
          `"engines" of the app allows Node ${refused.join(', ')}, on which ${LIBRARY} does not run.`,
          'Somebody may install the app on such a Node, and it fails when it starts.',
          `Set "engines": { "node": "${needed}" } in the package.json of the app.`,
        ),
      );
    }
    return findings.length > 0 ? findings : [ok(`Node ${node} can run ${LIBRARY}.`)];
  },
};
