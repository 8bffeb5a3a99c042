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

/** The calls that every fault meets. */
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

/** What a fault has to work with while one cell of the matrix is played. */
export interface CellPlay {
  readonly app: MedplumApp;
  /** Makes one more call of the kind, for a membership of its own. It never rejects. */
  readonly call: (options?: MedplumRequestOptions) => Promise<void>;
  /** Aborts the signal that all calls share. */
  readonly abort: () => void;
}

/** One row of the matrix. */
export interface Fault {
  readonly name: string;
  /** Beside the defaults of the matrix. */
  readonly options?: Partial<MedplumModuleOptions>;
  /** What the server does; made anew for each cell. `elsewhere` is the address of another server. */
  readonly handler?: (elsewhere: string) => WireHandler;
  /** What is done; one call by default. Calls that it leaves under way meet the shutdown of the app. */
  readonly play?: (cell: CellPlay) => Promise<unknown>;
  /** Holds what the row needs beside a server while its cells are played. */
  readonly around?: (cells: (options?: Partial<MedplumModuleOptions>) => Promise<void>) => Promise<void>;
  /** How the attempts end that all calls of a cell make, one after the other: a cell has the first ones of them. */
  readonly attempts: readonly (string | RegExp)[];
  /** How many of the attempts never get to the wire. Default 0. */
  readonly unsent?: number;
  /** The call comes when nobody is told of calls any more. */
  readonly unheard?: boolean;
  /** Further facts of every error. */
  readonly error?: object;
  /** What must come of it, as {@link summary} says it. */
  readonly expected: Readonly<Record<CallName, string>>;
}

/** What became of one call. */
export interface ObservedCall {
  readonly onBehalfOf: string;
  readonly error: MedplumError | undefined;
  readonly requests: readonly WireRequest[];
  readonly events: readonly RequestEvent[];
}

/** What was seen in one cell. */
export interface ObservedCell {
  readonly calls: readonly ObservedCall[];
  /** Requests that arrived, whoever they were for. */
  readonly requests: readonly WireRequest[];
  /** Requests at a server that is not the one of the client. */
  readonly strayed: number;
  /** Requests that the client had given up, but not let go of, before the app was closed. */
  readonly held: number;
  /** Connections that the server still had when the app was closed. */
  readonly connections: number;
  /** Listeners that were left on the signal of the calls. */
  readonly listeners: number;
  /** Calls whose events had not come when the app was closed. */
  readonly late: number;
}

/** What was seen in one row. */
export interface ObservedRow {
  readonly name: string;
  readonly cells: Readonly<Record<CallName, ObservedCell>>;
  /** Warnings, unhandled rejections and uncaught exceptions. */
  readonly trouble: readonly string[];
  /** Sockets, timers, look-ups of the process that were not there before. */
  readonly leaked: readonly string[];
}

/** Plays one fault against every call, each with a server and an app of its own. */
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
    // A minute: a timer that is left behind does not go away before it is looked for.
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

/** What keeps the process alive, counted by kind. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

const isZero = (count: number): boolean => count === 0;

/** What `measure` gives once it is `good`, or after two seconds: the process has timers of others, which come and go. */
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
