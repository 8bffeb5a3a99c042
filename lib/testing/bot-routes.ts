import { randomUUID } from 'node:crypto';
import type { Bot, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { runBot, type BotResult } from './bot-worker';
import type { Caller } from './caller';
import type { OperationOutcome, StoredResource } from './emulator.types';
import { FHIR_JSON, JSON_TYPE, outcomeAnswer, type Answer, type Exchange } from './exchange';
import { core } from './medplum-peers';
import { issueAccessToken } from './oauth-routes';
import { fail } from './outcome-error';
import type { EmulatorRepository } from './repository';
import { currentVersion } from './store';

/** How long a bot may run, unless its `timeout` (in seconds) says otherwise, in ms. */
const TIMEOUT_MS = 10_000;

/** Content types that a response takes over from the request. */
const MIRRORED = ['text/plain', 'x-application/hl7-v2+er7'];

/** `Bot/<id>/$execute` and `Bot/$execute?identifier=...`, whatever follows in the path. */
export async function botAnswer(
  exchange: Exchange,
  repository: EmulatorRepository,
  path: string,
  caller: Caller,
  body: unknown,
): Promise<Answer | undefined> {
  const match = /^\/Bot(?:\/([^/]+))?\/(?:\$|%24)execute(?:\/.*)?$/.exec(path);
  if (!match || (exchange.method !== 'GET' && exchange.method !== 'POST')) {
    return undefined;
  }
  const visible = await botOf(exchange, repository, match[1]);
  if (!visible) {
    return outcomeAnswer(core.badRequest('Must specify bot ID or identifier.'), exchange);
  }
  const { state } = exchange;
  const bot = await state.systemRepository(caller.project).readResource<Bot>('Bot', visible.id);
  if (!repository.hasFeature('bots')) {
    return resultAnswer(exchange, { error: 'Bots not enabled' });
  }
  const code = codeOf(exchange, bot);
  if (code === undefined) {
    return resultAnswer(exchange, { error: 'No executable code' });
  }
  const runsAs = bot.runAsUser ? caller.actingMembership : (membershipOf(exchange, bot) ?? caller.actingMembership);
  const result = await runBot(
    {
      code,
      baseUrl: state.baseUrl,
      accessToken: issueAccessToken(state, { membershipId: runsAs.id }),
      bot: core.createReference(bot),
      requester: caller.actingMembership.profile,
      input: exchange.method === 'POST' ? body : Object.fromEntries(new URLSearchParams(exchange.query)),
      contentType: exchange.headers['content-type'] ?? '',
      secrets: {},
      traceId: exchange.traceId || randomUUID(),
      headers: exchange.headers,
    },
    bot.timeout ? bot.timeout * 1000 : TIMEOUT_MS,
  );
  return resultAnswer(exchange, result);
}

/** Reads the bot as the caller, so that only those who may see it can run it. */
async function botOf(
  exchange: Exchange,
  repository: EmulatorRepository,
  id: string | undefined,
): Promise<StoredResource | undefined> {
  if (id) {
    return (await repository.readResource('Bot', id)) as StoredResource;
  }
  const identifier = new URLSearchParams(exchange.query).get('identifier');
  if (!identifier) {
    return undefined;
  }
  const [found] = await repository.searchResources<Bot>({
    resourceType: 'Bot',
    filters: [{ code: 'identifier', operator: 'exact', value: identifier }],
  });
  return (found as StoredResource | undefined) ?? fail(core.notFound);
}

function codeOf({ state: { store } }: Exchange, { executableCode }: Bot): string | undefined {
  const id = /^Binary\/([^/]+)/.exec(executableCode?.url ?? '')?.[1];
  const row = id === undefined ? undefined : store.get('Binary', id);
  return row && store.blob(row.id, currentVersion(row).versionId)?.toString('utf8');
}

function membershipOf({ state: { store } }: Exchange, { id }: Bot): (ProjectMembership & { id: string }) | undefined {
  const [row] = store.lookup('ProjectMembership', 'profile', [`Bot/${id}`]);
  return row && (currentVersion(row).resource as (ProjectMembership & { id: string }) | undefined);
}

/** Unlike other outcomes, that of a bot carries no tracing ids. */
function resultAnswer({ headers }: Exchange, result: BotResult): Answer {
  const asked = headers['content-type'];
  const mirrored = asked !== undefined && MIRRORED.includes(asked);
  const contentType = mirrored ? `${asked}; charset=utf-8` : JSON_TYPE;
  if ('error' in result) {
    const outcome: OperationOutcome = core.badRequest(result.error);
    return { status: 400, contentType, body: JSON.stringify(outcome) };
  }
  const value = result.value === undefined ? core.allOk : result.value;
  if (core.isOperationOutcome(value) && core.isOk(value)) {
    return { status: 200, contentType, body: JSON.stringify(value) };
  }
  return {
    status: 200,
    contentType: value === undefined ? FHIR_JSON : contentType,
    body: typeof value === 'string' ? value : JSON.stringify(value),
  };
}
