import * as library from 'nestjs-medplum';
import {
  type AuditSinkError,
  isMedplumError,
  MedplumError,
  type MedplumGraphqlError,
  type MedplumTransactionError,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { evaluated, leaksOf } from '../support/planted';
import { have, MISHAPS } from './mishaps/all.mishaps';

let log: CapturedLog;

beforeEach(() => (log = captureLog()));
afterEach(() => log.restore());

describe.each(Object.entries(MISHAPS))('%s', (_name, mishap) => {
  it('throws an error of the expected class; neither it, the events nor the log show anything planted', async () => {
    const { app, error } = await have(mishap);
    expect((error as object | undefined)?.constructor.name).toBe(mishap.error.name);
    expect(isMedplumError(error)).toBe(true);
    expect(leaksOf(error)).toEqual([]);
    expect(leaksOf(app.events)).toEqual([]);
    expect(leaksOf(log.given)).toEqual([]);
  });
});

describe('the list of mishaps', () => {
  it('has an entry for every error class that the package exports', () => {
    const classes = Object.entries(library as object).filter(
      ([, value]) =>
        typeof value === 'function' &&
        Object.prototype.isPrototypeOf.call(MedplumError.prototype, value.prototype as object),
    );
    const had = new Set<unknown>(Object.values(MISHAPS).map(({ error }) => error));
    expect(classes.filter(([, type]) => !had.has(type)).map(([name]) => name)).toEqual([]);
  });

  it('has planted values behind the getters in DOORS', async () => {
    const doors: readonly (readonly [keyof typeof MISHAPS, (error: never) => unknown])[] = [
      ['a read with the status 404', (error: MedplumError) => error.outcome],
      ['a read with the status 404', (error: MedplumError) => error.request],
      ['GraphQL with errors in the response', (error: MedplumGraphqlError) => error.graphqlErrors],
      ['GraphQL with errors in the response', (error: MedplumGraphqlError) => error.partialData],
      ['a transaction with a failed entry', (error: MedplumTransactionError) => error.response],
      ['a write whose record a sink refuses', (error: AuditSinkError) => error.result],
    ];
    for (const [name, open] of doors) {
      const mishap = MISHAPS[name];
      const { error } = mishap ? await have(mishap) : { error: undefined };
      expect(leaksOf(open(error as never))).not.toEqual([]);
    }
  });

  it('finds no getters on errors but the known ones; a new getter shows nothing planted or belongs in DOORS', async () => {
    evaluated.clear();
    for (const { error: type } of Object.values(MISHAPS)) {
      leaksOf(Reflect.construct(type as new (text: string) => MedplumError, ['text']));
    }
    expect([...evaluated].toSorted()).toEqual(['AuditSinkError.callError', 'MedplumError.requestId']);
  });
});
