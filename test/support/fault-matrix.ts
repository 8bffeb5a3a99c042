import { getEventListeners } from 'node:events';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import {
  isMedplumError,
  type MedplumError,
  type MedplumModuleOptions,
  type MedplumRequestOptions,
  type MedplumService,
  type RequestEvent,
} from 'nestjs-medplum';
import { closeAll } from './close-all';
import { type MedplumApp, startMedplumApp } from './medplum-app';
import { troubleIn } from './trouble';
import { type WireHandler, type WireRequest, WireServer } from './wire-server';

const PATIENT: Patient = {
  resourceType: 'Patient',
  id: '1',
  identifier: [{ system: 'urn:mrn', value: '4711' }],
  name: [{ family: 'Simpson' }],
};

/** The kinds of calls that every fault is played against. */
export const CALLS = {
  GET: (medplum, options) => medplum.readResource('Patient', '1', options),
  POST: (medplum, options) => medplum.createResource(PATIENT, options),
  PUT: (medplum, options) => medplum.updateResource(PATIENT, options),
  'POST if none has its identifier': (medplum, options) =>
    medplum.createResourceIfNoneExist(PATIENT, 'identifier=urn:mrn|4711', options),
  'POST if none has its name': (medplum, options) =>
    medplum.createResourceIfNoneExist(PATIENT, 'family=Simpson', options),
} as const satisfies Record<string, (medplum: MedplumService, options: MedplumRequestOptions) => Promise<unknown>>;

export type CallName = keyof typeof CALLS;
export const CALL_NAMES = Object.keys(CALLS) as CallName[];

/** What a fault can use while one cell of the matrix is played. */
export interface CellPlay {
  readonly app: MedplumApp;
  /** Makes another call of the same kind, with its own membership. It never rejects. */
  readonly call: (options?: MedplumRequestOptions) => Promise<void>;
  /** Aborts the signal of all calls. */
  readonly abort: () => void;
}

/** One row of the matrix. */
export interface Fault {
  readonly name: string;
  /** Options in addition to the defaults of the matrix. */
  readonly options?: Partial<MedplumModuleOptions>;
  /** Makes the handler of the server, for each cell. `elsewhere` is the address of another server. */
  readonly handler?: (elsewhere: string) => WireHandler;
  /** Makes the calls. Default: one call. If calls are still running when it returns, the app shuts down during them. */
  readonly play?: (cell: CellPlay) => Promise<unknown>;
  /** Sets up what the row needs besides a server, and plays the cells in it. */
  readonly around?: (cells: (options?: Partial<MedplumModuleOptions>) => Promise<void>) => Promise<void>;
  /** How the attempts of all calls in a cell end, in order. A cell may have fewer attempts, never others. */
  readonly attempts: readonly (string | RegExp)[];
  /** How many of the attempts never reach the wire. Default 0. */
  readonly unsent?: number;
  /** Whether the call comes so late that it has no event. */
  readonly unheard?: boolean;
  /** Properties that every error must have. */
  readonly error?: object;
  /** The expected result of each call, in the form of `summary()`. */
  readonly expected: Readonly<Record<CallName, string>>;
}

/** The result of one call. */
export interface ObservedCall {
  readonly onBehalfOf: string;
  readonly error: MedplumError | undefined;
  readonly requests: readonly WireRequest[];
  readonly events: readonly RequestEvent[];
}

/** What one cell observed. */
export interface ObservedCell {
  readonly calls: readonly ObservedCall[];
  /** All requests that arrived, whatever their identity. */
  readonly requests: readonly WireRequest[];
  /** Number of requests that arrived at a server other than the client's. */
  readonly strayed: number;
  /** Number of requests that the client had given up but still held open, before the app closed. */
  readonly held: number;
  /** Number of connections that were still open after the app closed. */
  readonly connections: number;
  /** Number of listeners left on the signal of the calls. */
  readonly listeners: number;
  /** Number of calls without an event when the app had closed. */
  readonly late: number;
}

/** What one row observed. */
export interface ObservedRow {
  readonly name: string;
  readonly cells: Readonly<Record<CallName, ObservedCell>>;
  /** Warnings, unhandled rejections and uncaught exceptions. */
  readonly trouble: readonly string[];
  /** Kinds of resources that the process still holds: sockets, timers, look-ups. */
  readonly leaked: readonly string[];
}

/** Plays one fault against every kind of call. Each has its own server and app. */
export async function playFault(fault: Fault): Promise<ObservedRow> {
  const before = resources();
  const cells: Partial<Record<CallName, ObservedCell>> = {};
  const play = async (options: Partial<MedplumModuleOptions> = {}): Promise<void> => {
    await Promise.all(
      CALL_NAMES.map(async (name) => {
        cells[name] = await playCell(fault, name, { ...fault.options, ...options });
      }),
    );
  };
  const trouble = await troubleIn(() => (fault.around ? fault.around(play) : play()));
  const leaked = await settled(
    () => [...resources()].filter(([type, count]) => count > (before.get(type) ?? 0)).map(([type]) => type),
    (types) => types.length === 0,
  );
  return { name: fault.name, cells: cells as ObservedRow['cells'], trouble, leaked };
}

async function playCell(fault: Fault, name: CallName, options: Partial<MedplumModuleOptions>): Promise<ObservedCell> {
  const elsewhere = await WireServer.start();
  const app = await startMedplumApp(
    // In ms. A minute, so that a forgotten timer still exists when the test looks for it.
    { timeout: 60_000, ...options, retry: { maxRetries: 2, minTimeout: 1, ...options.retry } },
    { handler: fault.handler?.(elsewhere.baseUrl) },
  ).catch((error: unknown) => closeAll(elsewhere).then(() => Promise.reject(error)));
  const { wire, medplum, events } = app;
  try {
    const made: { onBehalfOf: string; error?: MedplumError }[] = [];
    const controller = new AbortController();
    const { signal } = controller;
    const ends: Promise<void>[] = [];
    let underWay = 0;
    const call = (more: MedplumRequestOptions = {}): Promise<void> => {
      const one: (typeof made)[number] = { onBehalfOf: `ProjectMembership/m-${made.length + 1}` };
      made.push(one);
      underWay++;
      const end = CALLS[name](medplum, { onBehalfOf: one.onBehalfOf, signal, ...more }).then(
        () => void underWay--,
        (error: unknown) => {
          underWay--;
          if (!isMedplumError(error)) {
            throw error;
          }
          one.error = error;
        },
      );
      ends.push(end);
      return end;
    };
    const cell: CellPlay = { app, call, abort: () => controller.abort() };
    await (fault.play ? fault.play(cell) : call());
    const held = underWay > 0 ? 0 : await settled(() => wire.unanswered, isZero);
    await app.module.close();
    const late = made.length - events.length;
    await Promise.all(ends);
    const connections = await settled(() => wire.openConnections + elsewhere.openConnections, isZero);
    const calls = made.map(({ onBehalfOf, error }) => ({
      onBehalfOf,
      error,
      requests: wire.requests.filter((request) => request.onBehalfOf === onBehalfOf),
      events: events.filter((event) => event.onBehalfOf === onBehalfOf),
    }));
    const listeners = getEventListeners(signal, 'abort').length;
    return { calls, requests: wire.requests, strayed: elsewhere.requests.length, held, connections, listeners, late };
  } finally {
    await closeAll(app, elsewhere);
  }
}

/** The resources that keep the process alive, counted by kind. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

const isZero = (count: number): boolean => count === 0;

/** Measures until the value is `good`, for two seconds at most, because the process has other timers that come and go. */
async function settled<T>(measure: () => T, good: (value: T) => boolean): Promise<T> {
  let value = measure();
  for (let turn = 0; !good(value) && turn < 200; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    value = measure();
  }
  return value;
}

/** The attempts of all calls: `503`, `TIMEOUT`, or `200 ECONNRESET` when the connection broke in the body. */
export function attemptsOf({ calls }: ObservedCell): string[] {
  const attempts = calls.flatMap(({ events }) => events.flatMap((event) => event.attempts));
  return attempts.map(({ status, error }) => [status, error].filter((part) => part !== undefined).join(' '));
}
