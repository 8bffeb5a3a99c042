import type { MedplumEmulator } from '../../testing/medplum-emulator';

/** What the command prints once the emulator listens. It holds secrets, which exist only for this emulator. */
export interface StartReport {
  readonly baseUrl: string;
  /** Id of the first client. */
  readonly clientId: string | undefined;
  readonly clientSecret: string | undefined;
  readonly clients: readonly { readonly name: string; readonly id: string; readonly secret: string }[];
  readonly members: readonly { readonly name: string; readonly membership: string; readonly profile: string }[];
}

export function startReport(emulator: MedplumEmulator): StartReport {
  const { baseUrl } = emulator;
  const { vars } = emulator.seeded();
  const clients = Object.entries(vars)
    .filter(([, value]) => value.startsWith('ClientApplication/'))
    .map(([name]) => {
      const { clientId, clientSecret } = emulator.options(name);
      return { name, id: clientId, secret: clientSecret };
    });
  const members = emulator.members().map(({ name = '-', membership, profile, active, admin }) => ({
    name,
    membership,
    profile,
    ...(admin && { admin }),
    ...(!active && { active }),
  }));
  return { baseUrl, clientId: clients[0]?.id, clientSecret: clients[0]?.secret, clients, members };
}

/** The report as tables. */
export function reportText({ baseUrl, clientId, clientSecret, clients, members }: StartReport): string {
  const parts = [
    table([
      ['base URL', baseUrl],
      ['client id', clientId ?? 'none: the fixtures have no client'],
      ['client secret', clientSecret ?? '-'],
    ]),
  ];
  if (clients.length > 1) {
    parts.push(table([['client', 'id', 'secret'], ...clients.map(({ name, id, secret }) => [name, id, secret])]));
  }
  parts.push(
    members.length === 0
      ? 'There are no members to act on behalf of. For a project with members, run:\n' +
          '  npx nestjs-medplum emulator --example > fixtures.json\n' +
          '  npx nestjs-medplum emulator --fixtures fixtures.json'
      : table([
          ['member', 'identity (onBehalfOf)', 'profile'],
          ...members.map(({ name, membership, profile }) => [name, membership, profile]),
        ]),
  );
  return `${parts.join('\n\n')}\n\n`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
