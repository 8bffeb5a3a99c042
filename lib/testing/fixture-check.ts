import { loadDefinitions } from './definitions';
import { isRecord } from './is-record';

type Entry = Record<string, unknown>;

/** The members of each section's entries. */
const MEMBERS = {
  projects: ['name', 'id', 'title', 'strictMode', 'features'],
  clients: ['name', 'id', 'secret', 'project', 'title', 'admin', 'accessPolicy'],
  resources: ['name', 'id', 'project', 'resource', 'binary'],
  memberships: [
    'name',
    'id',
    'externalId',
    'project',
    'profile',
    'accessPolicy',
    'access',
    'admin',
    'active',
    'deleted',
  ],
} as const;

const SECTIONS = ['projects', 'clients', 'resources', 'memberships'] as const;

/** JSON has no comments, so this member stands for one wherever it is. */
const COMMENT = '//';

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * Checks fixtures before any of them is created: their shape, missing fields, names that are used twice, and names that no
 * earlier fixture has.
 *
 * @throws Error that lists every problem, one per line.
 */
export function checkFixtures(fixtures: unknown): void {
  const problems = new FixtureProblems(fixtures).find();
  if (problems.length > 0) {
    throw new Error(`The fixtures have ${problems.length} problem(s):\n- ${problems.join('\n- ')}`);
  }
}

class FixtureProblems {
  private readonly problems: string[] = [];
  private readonly names = new Map<string, string>();
  private readonly ids = new Set<string>();

  constructor(private readonly fixtures: unknown) {}

  find(): string[] {
    if (!isRecord(this.fixtures)) {
      return ['they must be an object with projects, clients, resources and memberships'];
    }
    for (const key of Object.keys(this.fixtures).filter(
      (name) => name !== 'format' && name !== COMMENT && !SECTIONS.some((section) => section === name),
    )) {
      this.problems.push(`${key}: there is no such section; use ${SECTIONS.join(', ')}`);
    }
    this.each('projects', (entry, at) => {
      this.expectList(entry, 'features', at);
      this.fixedId(entry.id, `${at}.id`, 'Project');
      this.name(entry, at, 'Project');
    });
    this.each('clients', (entry, at) => {
      this.refer(entry, 'project', at, 'Project');
      this.fixedId(entry.id, `${at}.id`, 'ClientApplication');
      if (entry.secret !== undefined && !(typeof entry.secret === 'string' && /^[\w.+/=-]+$/.test(entry.secret))) {
        // The value may be a secret of another place, so the message does not show it.
        this.problems.push(`${at}.secret: must be a string of letters, digits and -._+/=`);
      }
      this.name(entry, at, 'ClientApplication');
    });
    this.each('resources', (entry, at) => this.resource(entry, at));
    this.each('clients', (entry, at) => this.refer(entry, 'accessPolicy', at, 'AccessPolicy', true));
    this.each('memberships', (entry, at) => this.membership(entry, at));
    return this.problems;
  }

  private resource(entry: Entry, at: string): void {
    this.refer(entry, 'project', at, 'Project');
    const { resource, binary } = entry;
    if ((resource === undefined) === (binary === undefined)) {
      this.problems.push(`${at}: needs either resource or binary, and not both`);
    }
    if (isRecord(binary) && (typeof binary.contentType !== 'string' || typeof binary.text !== 'string')) {
      this.problems.push(`${at}.binary: needs contentType and text`);
    }
    const type = isRecord(resource) ? resource.resourceType : undefined;
    if (resource !== undefined && (typeof type !== 'string' || !loadDefinitions().resourceTypes.has(type))) {
      this.problems.push(`${at}.resource: resourceType must be a FHIR or Medplum resource type, got ${show(type)}`);
    }
    this.placeholders(resource, `${at}.resource`);
    const own = isRecord(resource) ? resource.id : undefined;
    if (entry.id !== undefined && own !== undefined && entry.id !== own) {
      this.problems.push(`${at}: has two ids; keep either id or resource.id`);
    } else {
      this.fixedId(
        entry.id ?? own,
        entry.id === undefined ? `${at}.resource.id` : `${at}.id`,
        typeof type === 'string' ? type : 'Binary',
      );
    }
    this.name(entry, at, binary === undefined ? String(type) : 'Binary');
  }

  private membership(entry: Entry, at: string): void {
    this.refer(entry, 'project', at, 'Project');
    this.refer(entry, 'profile', at, /^(Practitioner|Patient|RelatedPerson)$/);
    this.refer(entry, 'accessPolicy', at, 'AccessPolicy', true);
    this.expectList(entry, 'access', at);
    this.placeholders(entry.access, `${at}.access`);
    this.fixedId(entry.id, `${at}.id`, 'ProjectMembership');
    const { externalId } = entry;
    if (externalId !== undefined && (typeof externalId !== 'string' || externalId === '')) {
      this.problems.push(`${at}.externalId: must be a string that is not empty`);
    }
    this.expectName(entry, at);
  }

  private each(section: (typeof SECTIONS)[number], visit: (entry: Entry, at: string) => void): void {
    const list = (this.fixtures as Entry)[section];
    if (list === undefined && (section === 'resources' || section === 'memberships')) {
      return;
    }
    if (!Array.isArray(list)) {
      this.report(`${section}: must be a list`);
      return;
    }
    for (const [index, entry] of list.entries()) {
      if (isRecord(entry)) {
        this.members(entry, section, `${section}[${index}]`);
        visit(entry, `${section}[${index}]`);
      } else {
        this.report(`${section}[${index}]: must be an object`);
      }
    }
  }

  /** A misspelt accessPolicy would give somebody all rights, so members that do not exist are problems. */
  private members(entry: Entry, section: keyof typeof MEMBERS, at: string): void {
    const known: readonly string[] = MEMBERS[section];
    for (const key of Object.keys(entry).filter((name) => name !== COMMENT && !known.includes(name))) {
      this.report(`${at}.${key}: there is no such member; use ${known.join(', ')}`);
    }
  }

  private fixedId(id: unknown, at: string, type: string): void {
    if (id === undefined) {
      return;
    }
    if (typeof id !== 'string' || !UUID.test(id)) {
      this.report(`${at}: must be a UUID in lower case, as the ids of Medplum are`);
      return;
    }
    if (this.ids.has(`${type}/${id}`)) {
      this.report(`${at}: an earlier fixture of this type has the same id`);
    }
    this.ids.add(`${type}/${id}`);
  }

  private name(entry: Entry, at: string, type: string): void {
    const name = this.expectName(entry, at);
    if (name === undefined) {
      return;
    }
    if (this.names.has(name)) {
      this.problems.push(`${at}.name: "${name}" is used twice`);
    } else {
      this.names.set(name, type);
    }
  }

  private expectName({ name }: Entry, at: string): string | undefined {
    if (typeof name === 'string' && name !== '') {
      return name;
    }
    this.problems.push(`${at}.name: must be a string that is not empty`);
    return undefined;
  }

  private refer(entry: Entry, field: string, at: string, type: string | RegExp, optional = false): void {
    const name = entry[field];
    if (optional && name === undefined) {
      return;
    }
    const known = typeof name === 'string' ? this.names.get(name) : undefined;
    if (known === undefined) {
      this.report(`${at}.${field}: must be the name of an earlier fixture, got ${show(name)}`);
    } else if (typeof type === 'string' ? known !== type : !type.test(known)) {
      this.report(`${at}.${field}: must not be ${show(name)}, whose type is ${known}`);
    }
  }

  private placeholders(value: unknown, at: string): void {
    for (const [, name = ''] of (JSON.stringify(value) ?? '').matchAll(/\{\{([^{}]+)\}\}/g)) {
      if (!this.names.has(name) && !this.names.has(name.replace(/\.id$/, ''))) {
        this.report(`${at}: {{${name}}} must be the name of an earlier fixture`);
      }
    }
  }

  private expectList(entry: Entry, field: string, at: string): void {
    if (entry[field] !== undefined && !Array.isArray(entry[field])) {
      this.problems.push(`${at}.${field}: must be a list`);
    }
  }

  private report(problem: string): void {
    if (!this.problems.includes(problem)) {
      this.problems.push(problem);
    }
  }
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
