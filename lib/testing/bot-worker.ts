import { Worker } from 'node:worker_threads';

/** What a bot gets as its event, and what it needs to call the server. */
export interface BotCall {
  readonly code: string;
  readonly baseUrl: string;
  readonly accessToken: string;
  readonly bot: unknown;
  readonly requester: unknown;
  readonly input: unknown;
  readonly contentType: string;
  readonly secrets: unknown;
  readonly traceId: string;
  readonly headers: unknown;
}

/** What a bot returned, or the text of what it threw. */
export type BotResult = { readonly value: unknown } | { readonly error: string };

const HL7 = 'x-application/hl7-v2+er7';
/** Memory that the code of one bot may use, in MB. */
const MEMORY_MB = 256;

/** Runs inside the worker. The code of a bot is CommonJS and exports `handler`. */
const RUNNER = `
const { parentPort, workerData } = require('node:worker_threads');
globalThis.WebSocket ??= class WebSocket {};
const { Hl7Message, MedplumClient, ContentType, normalizeErrorString } = require(workerData.corePath);
(async () => {
  const { code, baseUrl, accessToken, contentType, input, ...event } = workerData.call;
  const medplum = new MedplumClient({ baseUrl, fetch });
  medplum.setAccessToken(accessToken);
  const module = { exports: {} };
  const names = ['exports', 'module', 'require', 'Hl7Message', 'MedplumClient', 'ContentType'];
  new Function(...names, code)(module.exports, module, require, Hl7Message, MedplumClient, ContentType);
  const isHl7 = contentType === '${HL7}';
  const parsed = isHl7 && input ? Hl7Message.parse(input) : input;
  const result = await module.exports.handler(medplum, { ...event, contentType, input: parsed });
  const value = isHl7 && result ? result.toString() : result;
  parentPort.postMessage({ value: value === undefined ? undefined : JSON.parse(JSON.stringify(value) ?? 'null') });
})().catch((error) => parentPort.postMessage({ error: normalizeErrorString(error) })).finally(() => process.exit());
`;

/**
 * Runs a bot in a thread of its own, so that neither an endless loop nor an exit harms the emulator.
 *
 * @param timeoutMs after this time the bot is stopped
 */
export function runBot(call: BotCall, timeoutMs: number): Promise<BotResult> {
  return new Promise((resolve) => {
    const worker = new Worker(RUNNER, {
      eval: true,
      workerData: { call, corePath: require.resolve('@medplum/core') },
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
      stdout: true,
      stderr: true,
    });
    const finish = (result: BotResult): void => {
      clearTimeout(timer);
      resolve(result);
      void worker.terminate();
    };
    const timer = setTimeout(() => finish({ error: `Script execution timed out after ${timeoutMs}ms` }), timeoutMs);
    worker.once('message', finish);
    worker.once('error', (error) => finish({ error: error.message }));
    worker.once('exit', () => finish({ error: 'The bot ended without a result' }));
  });
}
