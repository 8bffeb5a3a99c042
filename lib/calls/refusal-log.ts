import { Logger } from '@nestjs/common';
import { DelegationError } from '../errors/delegation.error';
import type { MedplumError } from '../errors/medplum.error';
import { isResponseError } from '../http/response-error';
import { safeTemplate } from '../shared/known-types';
import { objects } from '../shared/objects';
import { isRefusal, likelyCause, type LikelyCause } from './likely-cause';

/** For how long a line of one kind keeps further ones out of the log, in ms. */
const INTERVAL = 60_000;

/** Most kinds of lines to remember. */
const MOST_KINDS = 500;

/** Longest text of an outcome that `debugErrors` shows, in characters. */
const LONGEST_TEXT = 500;

/** The codes of FHIR R4 (value set `issue-type`). Any other word of an outcome could be a value. */
const ISSUE_TYPES: ReadonlySet<unknown> = new Set(
  (
    'invalid structure required value invariant security login unknown expired forbidden suppressed processing ' +
    'not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule ' +
    'conflict transient lock-error no-store exception timeout incomplete throttled informational'
  ).split(' '),
);

/** Who the request acted as, in the words of the documentation. */
const SOURCES: ReadonlyMap<string | undefined, string> = new Map([
  ['call', 'per-call'],
  ['scope', 'scope'],
  ['default', 'default'],
  ['break-glass', 'emergency access'],
]);

/**
 * @internal The log of what the server refused. A line names the method, the path template, the status, the code of the
 * outcome, where the identity came from, the likely cause and the fix. It never has an id, a value or a text of the server,
 * unless the option `debugErrors` asks for the texts.
 */
export class RefusalLog {
  readonly #logger = new Logger('Medplum');
  readonly #client: string;
  readonly #showsTexts: boolean;
  readonly #kinds = new Map<string, { readonly since: number; suppressed: number }>();

  /** @param showsTexts whether lines have the texts of the outcome, which may quote values. */
  constructor(client: string, showsTexts: boolean) {
    this.#client = client;
    this.#showsTexts = showsTexts;
  }

  /**
   * Writes a line if the server refused the request, or the membership check its identity. Responses that apps expect (304,
   * 404, 410, 412) are logged at the level `debug`, all others at `warn`. Of one kind, one line is written per minute.
   */
  note(error: MedplumError): void {
    if (error instanceof DelegationError) {
      this.#noteDelegation(error);
      return;
    }
    if (!isRefusal(error)) {
      return;
    }
    const found = likelyCause(error);
    const { method = '', pathTemplate = '' } = error.request ?? {};
    // A delegation that is refused is no request.
    const what = method === 'NONE' ? 'A delegation' : `${method} ${safeTemplate(pathTemplate)}`;
    // The membership check words its refusals itself.
    const own = error.status === undefined ? error.message : '';
    const suppressed = this.#suppressed(found.isGeneral ? found.id : `${found.id} ${what} ${own}`);
    if (suppressed === undefined) {
      return;
    }
    const line = this.#line(error, what, found, suppressed);
    if (found.isExpected) {
      this.#logger.debug(line);
    } else {
      this.#logger.warn(line);
    }
  }

  #noteDelegation({ message, reason }: DelegationError): void {
    const suppressed = this.#suppressed(`delegation ${reason}`);
    if (suppressed !== undefined) {
      this.#logger.warn(`${message} Client: ${this.#client}.${more(suppressed)}`);
    }
  }

  #line(error: MedplumError, what: string, { cause, fix }: LikelyCause, suppressed: number): string {
    const { status, outcome, request } = error;
    const code = objects(outcome?.issue)[0]?.code;
    const shown = ISSUE_TYPES.has(code) ? String(code) : 'no known code';
    const source = SOURCES.get(request?.identitySource) ?? 'none, as the client itself';
    const why = status === undefined ? error.message : `Likely cause: ${cause}. ${fix}`;
    return [
      `${what} ${fateOf(error)}${status === undefined ? '' : ` (${shown})`}. Client: ${this.#client}. Identity: ${source}. ${why}${more(suppressed)}`,
      ...(this.#showsTexts ? textsOf(error) : []),
    ].join(' ');
  }

  /** How many lines of this kind were left out since the last one; `undefined` when this one is left out, too. */
  #suppressed(kind: string): number | undefined {
    const now = performance.now();
    const last = this.#kinds.get(kind);
    if (last && now - last.since < INTERVAL) {
      last.suppressed++;
      return undefined;
    }
    this.#kinds.delete(kind);
    this.#kinds.set(kind, { since: now, suppressed: 0 });
    for (const oldest of this.#kinds.keys()) {
      if (this.#kinds.size <= MOST_KINDS) {
        break;
      }
      this.#kinds.delete(oldest);
    }
    return last?.suppressed ?? 0;
  }
}

function more(suppressed: number): string {
  return suppressed > 0 ? ` (${suppressed} more like it since the last such line.)` : '';
}

/** What became of the request. The status of an error about the credentials may be that of the token endpoint. */
function fateOf(error: MedplumError): string {
  const { status } = error;
  if (status === undefined) {
    return 'was refused';
  }
  return status < 400 || isResponseError(error)
    ? `was answered with ${status}`
    : `was not sent, because the token endpoint answered with ${status}`;
}

/** The texts of the outcome, in JSON, so that a line stays one line. PHI. */
function textsOf({ outcome }: MedplumError): string[] {
  const texts = objects(outcome?.issue).map(({ details, diagnostics, expression }) => {
    const text: unknown = details?.text;
    return JSON.stringify({ text, diagnostics, expression }).slice(0, LONGEST_TEXT);
  });
  return texts.length === 0 ? [] : [`debugErrors: ${texts.join(' ')}`];
}
