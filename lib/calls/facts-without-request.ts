import type { MedplumConnection } from './connection';

/** @internal What the facts of events that stand for no request have in common: a delegation, emergency access. */
export function factsWithoutRequest({ name, settings }: MedplumConnection) {
  const { baseUrl, clientId } = settings;
  return {
    client: name,
    clientId,
    baseUrl: baseUrl.origin + baseUrl.path,
    method: 'NONE',
    path: '/',
    pathTemplate: '/',
    query: '',
    attempts: [],
    effect: 'none',
  } as const;
}
