import { createHmac, randomBytes } from 'node:crypto';
import { sameText } from './authentication';
import { core } from './medplum-peers';
import type { EmulatorState } from './emulator-state';
import { fail } from './outcome-error';
import type { Answer, Exchange } from './exchange';
import { currentVersion } from './store';

/** How long a signed address works, in seconds. */
const LIFETIME_SECONDS = 3600;

/** Signed addresses of Binary content: whoever has one needs no other credentials. The key is random per emulator. */
export class StorageUrls {
  private readonly key = randomBytes(32);

  constructor(private readonly state: EmulatorState) {}

  /** The signed address of a Binary's current content; `undefined` when there is none. */
  sign(id: string): string | undefined {
    const row = this.state.store.get('Binary', id);
    const version = row && currentVersion(row);
    if (!version?.resource) {
      return undefined;
    }
    const expires = Math.floor(Date.now() / 1000) + LIFETIME_SECONDS;
    const path = `storage/${id}/${version.versionId}`;
    return `${this.state.baseUrl}${path}?Expires=${expires}&Signature=${this.signature(path, expires)}`;
  }

  /** Replaces `Binary/<id>` in `url` elements of an answer by signed addresses. */
  inject(json: string): string {
    return json.includes('"url":"Binary/')
      ? json.replace(/"url":"Binary\/([0-9a-f-]{36})"/g, (whole, id: string) => {
          const url = this.sign(id);
          return url ? `"url":${JSON.stringify(url)}` : whole;
        })
      : json;
  }

  /** Replaces signed addresses in a body by `Binary/<id>`: what is stored outlives a signature. */
  strip(value: unknown): unknown {
    const prefix = `${this.state.baseUrl}storage/`;
    const text = JSON.stringify(value);
    return text.includes(prefix)
      ? (JSON.parse(text.replaceAll(new RegExp(`"${prefix}([0-9a-f-]{36})/[^"]*"`, 'g'), '"Binary/$1"')) as unknown)
      : value;
  }

  /** `GET /storage/<id>/<version>`. */
  answer({ method, path, query }: Exchange): Answer {
    const [, , id = '', versionId = ''] = path.split('/');
    const parameters = new URLSearchParams(query);
    const expires = Number(parameters.get('Expires'));
    const signature = this.signature(path.slice(1), expires);
    if (method !== 'GET' || !sameText(signature, parameters.get('Signature') ?? '') || expires * 1000 < Date.now()) {
      return { status: 401, contentType: 'text/plain; charset=utf-8', body: 'Unauthorized' };
    }
    const version = this.state.store.get('Binary', id)?.versions.find((candidate) => candidate.versionId === versionId);
    const content = this.state.store.blob(id, versionId);
    if (version?.resource?.resourceType !== 'Binary' || !content) {
      return fail(core.notFound);
    }
    return {
      status: 200,
      contentType: withCharset(version.resource.contentType ?? 'application/octet-stream'),
      body: content,
    };
  }

  private signature(path: string, expires: number): string {
    return createHmac('sha256', this.key).update(`${path}?Expires=${expires}`).digest('base64url');
  }
}

/** The server names the charset of texts, whatever the upload said. */
export function withCharset(contentType: string): string {
  return /^(text\/|application\/(json|javascript)\b)/.test(contentType) && !contentType.includes('charset=')
    ? `${contentType}; charset=utf-8`
    : contentType;
}
