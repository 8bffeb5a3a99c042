import { seedFixtures } from './fixtures';
import type { SeededVariables } from './fixtures.types';
import type { MedplumEmulatorOptions } from './medplum-emulator.options';
import { Persistence } from './persistence';
import type { Seeder } from './seeder';
import type { SeededClient } from './seeding.types';
import type { Store } from './store';

const DEFAULT_CLIENT = 'default';

/** What an emulator knows of its own projects and clients, besides its store. */
export class SeededNames {
  /** Clients by the names that `options(name)` takes. */
  readonly clients = new Map<string, SeededClient>();
  variables: SeededVariables = {};

  /**
   * @param name default: the first client
   * @throws Error if no client has that name
   */
  client(name: string | undefined): SeededClient {
    const [first] = this.clients.keys();
    const found = this.clients.get(name ?? first ?? '');
    if (!found) {
      const known = [...this.clients.keys()].join(', ') || 'none';
      throw new Error(`The emulator has no client "${name ?? ''}". Use one of the known clients: ${known}.`);
    }
    return found;
  }

  replace(variables: SeededVariables, clients: Iterable<readonly [string, SeededClient]>): void {
    this.variables = variables;
    for (const [name, client] of clients) {
      this.clients.set(name, client);
    }
  }
}

/** Fills a new emulator: from the file of `persist` if it exists, or else with fixtures, or with a default project. */
export async function seedOrLoad(
  options: MedplumEmulatorOptions,
  store: Store,
  seeder: Seeder,
  names: SeededNames,
): Promise<Persistence | undefined> {
  if (options.persist === undefined) {
    await seed(options, seeder, names);
    return undefined;
  }
  const persistence = new Persistence(options.persist, store, () => ({
    variables: names.variables,
    clients: [...names.clients],
    projects: seeder.projectIds,
  }));
  const loaded = persistence.load();
  if (loaded) {
    seeder.resume(loaded.projects);
    names.replace(loaded.variables, loaded.clients);
  } else {
    await seed(options, seeder, names);
    persistence.save();
  }
  persistence.watch();
  return persistence;
}

async function seed({ fixtures, features }: MedplumEmulatorOptions, seeder: Seeder, names: SeededNames): Promise<void> {
  if (fixtures !== undefined) {
    const { variables, clients } = await seedFixtures(seeder, fixtures);
    names.replace(variables, clients);
    return;
  }
  const project = await seeder.createProject(features ? { features } : {});
  const client = await seeder.createClient({});
  const variables = {
    project: project.reference,
    [DEFAULT_CLIENT]: client.reference,
    [`${DEFAULT_CLIENT}.secret`]: client.secret,
    [`${DEFAULT_CLIENT}.membership`]: client.membership,
  };
  names.replace(variables, [[DEFAULT_CLIENT, client]]);
}
