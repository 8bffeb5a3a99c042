import { createHmac, randomBytes } from 'node:crypto';
import { sameText } from './authentication';
import { core } from './medplum-peers';
import type { EmulatorState } from './emulator-state';
import { fail } from './outcome-error';
import type { Answer, Exchange } from './exchange';
import { currentVersion } from './store';

/** How long a signed URL works, in seconds. */
const LIFETIME_SECONDS = 3600;

/** Signs URLs of Binary content. Whoever has such a URL needs no other credentials. Each emulator has its own random key. */
export class StorageUrls {
  private readonly key = randomBytes(32);

  constructor(private readonly state: EmulatorState) {}

  /** The signed URL of a Binary's current content; `undefined` if there is none. */
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

  /** Replaces `Binary/<id>` in the `url` elements of a response by signed URLs. */
  inject(json: string): string {
    return json.includes('"url":"Binary/')
      ? json.replace(/"url":"Binary\/([0-9a-f-]{36})"/g, (whole, id: string) => {
          const url = this.sign(id);
          return url ? `"url":${JSON.stringify(url)}` : whole;
        })
      : json;
  }

  /** Replaces signed URLs in a body by `Binary/<id>`, because stored resources outlive a signature. */
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

/** Adds the charset to the type of a text, as the server does. */
export function withCharset(contentType: string): string {
  return /^(text\/|application\/(json|javascript)\b)/.test(contentType) && !contentType.includes('charset=')
    ? `${contentType}; charset=utf-8`
    : contentType;
}
