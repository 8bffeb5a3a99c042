import type { RecordedRequest } from '../../testing/emulator.types';
import type { EmulatorMember } from '../../testing/seeding.types';

/** The parts of the routes that the emulator knows. They are the only words of a path that a line shows. */
const WORDS = new Set(
  (
    'fhir R4 api oauth2 token logout userinfo introspect authorize auth me login admin projects project invite bot client ' +
    'members storage healthcheck .well-known openid-configuration oauth-authorization-server jwks.json job status ' +
    'bulkdata export cancel _history _search metadata'
  ).split(' '),
);

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/**
 * The line of the log for one request: method, path, status, time, and who it was for. It shows no value of a record: ids
 * in the path become `{id}`, what the emulator does not know becomes `{?}`, and the query is left out.
 */
export class RequestLine {
  constructor(
    private readonly resourceTypes: ReadonlySet<string>,
    private readonly members: () => readonly EmulatorMember[],
  ) {}

  of(request: RecordedRequest, durationMs: number): string {
    const { method, path, status } = request;
    const time = `${Math.round(durationMs)} ms`;
    return `${method} ${this.template(path)} ${status ?? 'no response'} ${time} ${this.identity(request)}`;
  }

  private template(path: string): string {
    return path
      .split('/')
      .map((part) => {
        if (part === '' || WORDS.has(part) || this.resourceTypes.has(part) || /^\$[a-z-]+$/.test(part)) {
          return part;
        }
        return UUID.test(part) ? '{id}' : '{?}';
      })
      .join('/');
  }

  private identity({ onBehalfOf, auth }: RecordedRequest): string {
    if (!onBehalfOf) {
      return auth === 'none' ? 'without credentials' : 'as the client itself';
    }
    const member = this.members().find(
      ({ membership, profile }) => membership === onBehalfOf || profile === onBehalfOf,
    );
    if (member?.name !== undefined) {
      return `for ${member.name}`;
    }
    const [type = '', id = '', ...rest] = onBehalfOf.split('/');
    if (!this.resourceTypes.has(type) || rest.length > 0) {
      return 'for {?}';
    }
    // The id of a membership says nothing about a person's health; that of a patient may be in other records.
    return `for ${type}/${type === 'ProjectMembership' && UUID.test(id) ? id : '{id}'}`;
  }
}
