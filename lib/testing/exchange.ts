import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { Caller } from './caller';
import type { EmulatorState } from './emulator-state';
import { fail } from './outcome-error';
import type { OperationOutcome } from './emulator.types';
import { core } from './medplum-peers';

/** Size of the largest JSON or form body, in bytes. */
const MAX_JSON_BYTES = 1024 * 1024;
export const FHIR_JSON = 'application/fhir+json; charset=utf-8';
export const JSON_TYPE = 'application/json; charset=utf-8';
const TRACING = 'https://medplum.com/fhir/StructureDefinition/tracing';

/** One response, before it is sent. */
export interface Answer {
  readonly status: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
}

/** One request as the routes see it. */
export interface Exchange {
  readonly state: EmulatorState;
  readonly method: string;
  /** Path without query, as received. */
  readonly path: string;
  /** Query as received, without `?`. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** The body as received. */
  readonly content: Buffer;
  /** Who sent the request; `undefined` without valid credentials. */
  readonly caller: Caller | undefined;
  readonly extended: boolean;
  readonly requestId: string;
  readonly traceId: string;
}

/**
 * An OperationOutcome as a response. Clients can recognise errors of the on-behalf-of stage by the missing tracing
 * extension.
 */
export function outcomeAnswer(outcome: OperationOutcome, tracing?: Pick<Exchange, 'requestId' | 'traceId'>): Answer {
  const body: OperationOutcome = tracing
    ? {
        ...outcome,
        extension: [
          ...(outcome.extension ?? []),
          {
            url: TRACING,
            extension: [
              { url: 'requestId', valueId: tracing.requestId },
              { url: 'traceId', valueId: tracing.traceId },
            ],
          },
        ],
      }
    : outcome;
  return { status: core.getStatus(outcome), contentType: FHIR_JSON, body: JSON.stringify(body) };
}

/** A plain JSON response of the routes outside FHIR. */
export function jsonAnswer(status: number, body: unknown): Answer {
  return { status, contentType: JSON_TYPE, body: JSON.stringify(body) };
}

/** @throws OperationOutcomeError 401 without valid credentials. */
export function requireCaller({ caller }: Exchange): Caller {
  return caller ?? fail(core.unauthorized);
}

/** The trace id that a request names, else a new one. */
export function traceIdOf(headers: IncomingHttpHeaders): string {
  const wanted = headers['x-trace-id'];
  if (typeof wanted === 'string' && core.isUUID(wanted)) {
    return wanted;
  }
  const parent = headers.traceparent;
  return typeof parent === 'string' && /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/.test(parent)
    ? parent
    : randomUUID();
}

/** A body that is not encoded as its header says. The server answers with 500. */
export class BrokenEncoding extends Error {}

/** The response to an error: its outcome, or 500 for a body that cannot be decoded. */
export function errorAnswer(error: unknown, tracing?: Pick<Exchange, 'requestId' | 'traceId'>): Answer {
  return error instanceof BrokenEncoding
    ? jsonAnswer(500, { msg: 'Internal Server Error' })
    : outcomeAnswer(core.normalizeOperationOutcome(error), tracing);
}

/** Bodies that stay a text. */
const TEXT_TYPE = /^(text\/plain|x-application\/hl7-v2\+er7)\b/;

const inflaters: Readonly<Record<string, (content: Buffer) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/**
 * Parses the body as JSON or as a form; plain text and HL7 stay a text. An empty body or another content type gives an empty object, which each route
 * refuses with its own error.
 *
 * @throws OperationOutcomeError 400 if the body is malformed or too large, 415 if its encoding or charset is unknown;
 * BrokenEncoding if it is not encoded as it says.
 */
export async function readBody({ headers, content }: Exchange): Promise<unknown> {
  const type = headers['content-type']?.toLowerCase() ?? '';
  const isForm = type.startsWith('application/x-www-form-urlencoded');
  const isText = TEXT_TYPE.test(type);
  if (!isForm && !isText && !/^application\/([\w.+-]+\+)?json\b/.test(type)) {
    return {};
  }
  const charset = /;\s*charset="?([^\s";]+)/.exec(type)?.[1];
  if (charset && !(isForm ? /^(utf-8|iso-8859-1)$/ : /^utf-/).test(charset)) {
    fail(core.unsupportedMediaType);
  }
  const encoding = headers['content-encoding']?.toLowerCase() ?? 'identity';
  const inflater = inflaters[encoding];
  if (encoding !== 'identity' && !inflater) {
    fail(core.unsupportedMediaType);
  }
  const isEncoded = inflater !== undefined && content.length > 0;
  const plain = isEncoded ? await inflater(content).catch(() => Promise.reject(new BrokenEncoding())) : content;
  if (plain.length > MAX_JSON_BYTES) {
    fail(core.badRequest('File too large'));
  }
  const text = plain.toString('utf8').replace(/^\uFEFF/, '');
  return isForm ? parseForm(text) : isText ? text || {} : parseJson(text);
}

function unparsable(): OperationOutcome {
  return core.badRequest('Content could not be parsed');
}

function parseJson(text: string): unknown {
  if (text.trim() === '') {
    return {};
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : fail(unparsable());
  } catch {
    return fail(unparsable());
  }
}

function parseForm(text: string): Record<string, string | string[]> {
  const form: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const known = form[name];
    form[name] = known === undefined ? value : [known, value].flat();
  }
  return form;
}
