import type { MedplumModuleOptions } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { gate } from '../support/gate';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let app: MedplumApp;
let log: CapturedLog;

beforeEach(() => (log = captureLog()));
afterEach(async () => {
  log.restore();
  jest.restoreAllMocks();
  await app.close();
});

async function start(options: Partial<MedplumModuleOptions> = {}): Promise<void> {
  app = await startMedplumApp(options, { handler: () => ({ body: { resourceType: 'Patient', id: '1' } }) });
}

const read = (options?: { onBehalfOf: string }) => app.medplum.readResource('Patient', '1', options);
/** How many warnings hold this text. */
const warnings = (text: string) =>
  log
    .text('warn')
    .split('\n')
    .filter((line) => line.includes(text)).length;

/** Makes a call under a scope that has ended. */
async function readLate(options?: { onBehalfOf: string }): Promise<void> {
  const later = gate();
  let late: Promise<unknown> | undefined;
  await app.medplum.onBehalfOf('m-1', () => {
    late = later.opened.then(() => read(options));
    return Promise.resolve();
  });
  later.open();
  await late;
}

/** Starts an app in a process with these settings. */
async function startWith(settings: Readonly<Record<string, string>>): Promise<void> {
  const { NODE_DEBUG: _debug, NODE_TLS_REJECT_UNAUTHORIZED: _tls, ...others } = process.env;
  const replaced = jest.replaceProperty(process, 'env', { ...others, ...settings });
  await start().finally(() => replaced.restore());
}

describe('The log warns', () => {
  it('once, when calls run as the client because requireOnBehalfOf is false', async () => {
    await start({ requireOnBehalfOf: false });
    await read({ onBehalfOf: 'm-1' });
    expect(warnings('project admin')).toBe(0);
    await read();
    await read();
    expect(warnings('project admin')).toBe(1);
    expect(app.wire.identities).toEqual(['ProjectMembership/m-1', undefined, undefined]);
  });

  it('not, when a call is meant to run as the client', async () => {
    await start({ requireOnBehalfOf: false });
    await app.medplum.asClientApplication(() => read());
    await read({ onBehalfOf: '' });
    expect(warnings('project admin')).toBe(0);
  });

  it('of calls under a scope that has ended, once a minute', async () => {
    let elapsed = 0;
    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + elapsed);
    await start({ lateCalls: 'warn' });
    await app.medplum.onBehalfOf('m-1', () => read());
    expect(warnings('has ended')).toBe(0);
    await readLate();
    await readLate();
    expect(warnings('has ended')).toBe(1);
    elapsed = 59_000;
    await readLate();
    expect(warnings('has ended')).toBe(1);
    elapsed = 61_000;
    await readLate();
    await readLate();
    expect(warnings('has ended')).toBe(2);
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-1']));
  });

  it('not of calls under a scope that has ended, if they name who they act as', async () => {
    await start({ lateCalls: 'warn' });
    await readLate({ onBehalfOf: 'm-2' });
    await readLate();
    expect(app.events.map(({ onBehalfOf, afterScope }) => [onBehalfOf, afterScope])).toEqual([
      ['ProjectMembership/m-2', undefined],
      ['ProjectMembership/m-1', true],
    ]);
    expect(warnings('has ended')).toBe(1);
  });

  it('not of calls under a scope that has ended, if they are allowed', async () => {
    await start({ lateCalls: 'allow' });
    await readLate();
    expect(warnings('has ended')).toBe(0);
  });

  it.each(['undici', 'fetch', 'http', 'net', 'tls', 'UNDICI', '*', 'fs,http', 'fs http', 'net*', 'http,fs', 'tls fs'])(
    'when NODE_DEBUG=%s makes Node print requests',
    async (value) => {
      await startWith({ NODE_DEBUG: value });
      expect(warnings('NODE_DEBUG')).toBe(1);
    },
  );

  it.each(['', 'fs', 'timer,module', 'https-proxy', 'internet'])('not of NODE_DEBUG=%j', async (value) => {
    await startWith({ NODE_DEBUG: value });
    expect(warnings('NODE_DEBUG')).toBe(0);
  });

  it('when certificates are not checked', async () => {
    await startWith({ NODE_TLS_REJECT_UNAUTHORIZED: '0' });
    expect(warnings('NODE_TLS_REJECT_UNAUTHORIZED')).toBe(1);
  });

  it.each<Readonly<Record<string, string>>>([{}, { NODE_TLS_REJECT_UNAUTHORIZED: '1' }])(
    'not of %j',
    async (settings) => {
      await startWith(settings);
      expect(log.text('warn')).toBe('');
    },
  );
});
