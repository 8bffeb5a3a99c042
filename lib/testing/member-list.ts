import type { ProjectMembership } from './emulator.types';
import type { SeededVariables } from './fixtures.types';
import type { EmulatorMember } from './seeding.types';
import { currentVersion, type Store } from './store';

/** The people who are members of a project now, in the order in which they became members. */
export function listMembers(store: Store, variables: SeededVariables): EmulatorMember[] {
  const names = new Map(
    Object.entries(variables)
      .filter(([key]) => key.endsWith('.membership'))
      .map(([key, reference]) => [reference, key.slice(0, -'.membership'.length)]),
  );
  const members: EmulatorMember[] = [];
  for (const row of store.rows('ProjectMembership')) {
    const { profile, externalId, admin, active } = (currentVersion(row).resource ?? {}) as Partial<ProjectMembership>;
    if (profile?.reference === undefined || profile.reference.startsWith('ClientApplication/')) {
      continue;
    }
    const membership = `ProjectMembership/${row.id}`;
    members.push({
      name: names.get(membership),
      membership,
      profile: profile.reference,
      externalId,
      admin: admin === true,
      active: active !== false,
    });
  }
  return members;
}
