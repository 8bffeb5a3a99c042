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
  it('is told by an error of its class that shows nothing, and so are its events and the log', async () => {
    const { app, error } = await have(mishap);
    expect((error as object | undefined)?.constructor.name).toBe(mishap.error.name);
    expect(isMedplumError(error)).toBe(true);
    expect(leaksOf(error)).toEqual([]);
    expect(leaksOf(app.events)).toEqual([]);
    expect(leaksOf(log.given)).toEqual([]);
  });
});

describe('Mishaps', () => {
  it('are there for every error class that the package exports', () => {
    const classes = Object.entries(library as object).filter(
      ([, value]) => typeof value === 'function' && value.prototype instanceof Error && value !== MedplumError,
    );
    const had = new Set<unknown>(Object.values(MISHAPS).map(({ error }) => error));
    expect(classes.filter(([, type]) => !had.has(type)).map(([name]) => name)).toEqual([]);
  });

  it('would be told by more, if doors were opened', async () => {
    const doors: readonly (readonly [keyof typeof MISHAPS, (error: never) => unknown])[] = [
      ['a read that is answered with 404', (error: MedplumError) => error.outcome],
      ['a read that is answered with 404', (error: MedplumError) => error.request],
      ['GraphQL that was not granted', (error: MedplumGraphqlError) => error.graphqlErrors],
      ['GraphQL that was not granted', (error: MedplumGraphqlError) => error.partialData],
      ['a transaction that is no transaction', (error: MedplumTransactionError) => error.response],
      ['a write whose record a sink refuses', (error: AuditSinkError) => error.result],
    ];
    for (const [name, open] of doors) {
      const mishap = MISHAPS[name];
      const { error } = mishap ? await have(mishap) : { error: undefined };
      expect(leaksOf(open(error as never))).not.toEqual([]);
    }
  });

  it('are told by errors with few getters: behind a new one stands nothing that is planted, or it is a door', async () => {
    evaluated.clear();
    for (const { error: type } of Object.values(MISHAPS)) {
      leaksOf(Reflect.construct(type as new (text: string) => MedplumError, ['text']));
    }
    expect([...evaluated].toSorted()).toEqual(['AuditSinkError.callError', 'MedplumError.requestId']);
  });
});
