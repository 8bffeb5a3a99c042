import type { MedplumRoute, MedplumRouteIdentity } from '../../on-behalf-of/medplum-route-report';

/** Marks the format of the JSON report. It changes when a reader of the old format could misread the new one. */
const FORMAT = 'nestjs-medplum-routes/1';

/** The routes for programs: one JSON object. */
export function jsonRoutes(routes: readonly MedplumRoute[]): string {
  return `${JSON.stringify({ format: FORMAT, undecided: countUndecided(routes), routes }, undefined, 2)}\n`;
}

/** The routes for a person: a table, and how many handlers say nothing. */
export function routeTable(routes: readonly MedplumRoute[]): string {
  const rows = routes.map((route) => [
    route.kind,
    route.address || '-',
    `${route.className}.${route.handler}`,
    identityOf(route),
  ]);
  const undecided = countUndecided(routes);
  return `${[...tableOf([['kind', 'address', 'handler', 'identity'], ...rows]), '', `${plural(routes.length)}, ${undecided} undecided`].join('\n')}\n`;
}

function identityOf({ identities, withoutMedplum, undecided }: MedplumRoute): string {
  if (identities.length > 0) {
    return identities.map(shownIdentity).join(', ');
  }
  return withoutMedplum ? '@WithoutMedplum()' : undecided ? 'undecided' : 'none';
}

function shownIdentity({ client, decorator, source, reason }: MedplumRouteIdentity): string {
  const why = reason === undefined ? '' : ` "${reason}"`;
  return `@${decorator}(${source ?? ''})${why}${client === 'default' ? '' : ` for ${client}`}`;
}

function countUndecided(routes: readonly MedplumRoute[]): number {
  return routes.filter(({ undecided }) => undecided).length;
}

function plural(count: number): string {
  return `${count} handler${count === 1 ? '' : 's'}`;
}

function tableOf(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
