import * as fc from 'fast-check';
import { MedplumBadRequestError, type MedplumHeaders } from 'nestjs-medplum';
import { callerHeaders } from '../../lib/calls/caller-headers';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

const OWNED = ['authorization', 'x-medplum-on-behalf-of', 'x-medplum'] as const;
/** RFC 9110 section 5.6.2. */
const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** A name in every mixture of upper and lower case. */
function spellings(name: string): fc.Arbitrary<string> {
  return fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => Array.from(name, (letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join(''));
}

/** The forms in which headers may be given. */
const FORMS: Readonly<Record<string, (pairs: [string, string][]) => MedplumHeaders>> = {
  'an object': (pairs) => Object.fromEntries(pairs),
  'a list of pairs': (pairs) => pairs,
  'a Headers': (pairs) => new Headers(pairs),
  'a Map': (pairs) => new Map(pairs),
};

describe.each(Object.entries(FORMS))("The caller's headers as %s", (_form, given) => {
  it('go out under lower-case names', () => {
    expect(
      callerHeaders(
        given([
          ['X-Trace-Id', '5d8a'],
          ['Prefer', 'return=representation'],
        ]),
      ),
    ).toEqual({ 'x-trace-id': '5d8a', prefer: 'return=representation' });
  });

  it('are refused when they hold a header of the library, in any spelling', () => {
    const owned = fc.constantFrom(...OWNED).chain(spellings);
    const value = fc.constantFrom('extended', 'ProjectMembership/taint-1', 'Basic taint-1', 'x');
    fc.assert(
      fc.property(owned, value, fc.boolean(), (name, text, first) => {
        const harmless: [string, string] = ['accept-language', 'en'];
        const pairs: [string, string][] = first ? [[name, text], harmless] : [harmless, [name, text]];
        expect(() => callerHeaders(given(pairs))).toThrow(MedplumBadRequestError);
        expect(() => callerHeaders(given(pairs))).not.toThrow('taint-1');
      }),
    );
  });

  it.each([
    'Host',
    'content-length',
    'Transfer-Encoding',
    'CONNECTION',
    'accept-encoding',
    'Content-Encoding',
    'Expect',
    'keep-alive',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Upgrade',
  ])('are refused when they hold %s, which belongs to the connection', (name) => {
    expect(() => callerHeaders(given([[name, '1']]))).toThrow(MedplumBadRequestError);
  });
});

describe("The caller's headers", () => {
  it('may be left out', () => {
    expect(callerHeaders(undefined)).toEqual({});
    expect(callerHeaders({})).toEqual({});
  });

  it.each(['a\r\nx-medplum-on-behalf-of: x', 'a\nb', 'a\rb', 'a\0b', '\ta', ' a', 'a ', '', 'é', '\u{1f600}', 'a\x7f'])(
    'are refused with the value %j',
    (value) => {
      expect(() => callerHeaders({ 'x-trace-id': value })).toThrow(MedplumBadRequestError);
    },
  );

  it.each(['a b', 'a:', 'a\r\nb', '', 'é', 'x-medplum-on-behalf-of ', ' authorization', 'authorization\0'])(
    'are refused with the name %j',
    (name) => {
      expect(() => callerHeaders({ [name]: 'x' })).toThrow(MedplumBadRequestError);
    },
  );

  it('are refused when one is given twice, in whatever spelling', () => {
    expect(() =>
      callerHeaders([
        ['X-Trace-Id', 'a'],
        ['x-trace-id', 'b'],
      ]),
    ).toThrow(/twice/);
    expect(() => callerHeaders({ 'X-Trace-Id': 'a', 'x-trace-id': 'a' })).toThrow(/twice/);
  });

  it.each([null, 'x-trace-id: a', 5, true])('are refused as %j', (headers) => {
    expect(() => callerHeaders(headers as unknown as MedplumHeaders)).toThrow(MedplumBadRequestError);
  });

  it.each([undefined, null, 5, ['a', 'b']])('are refused with a value that is %j', (value) => {
    expect(() => callerHeaders({ 'x-trace-id': value } as unknown as MedplumHeaders)).toThrow(MedplumBadRequestError);
  });

  it('take every other well-formed name, also one that objects inherit', () => {
    const name = fc
      .oneof(
        fc.string({ unit: fc.constantFrom(...TOKEN_CHARACTERS.split('')), minLength: 1, maxLength: 20 }),
        fc.constantFrom('constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty'),
      )
      .map((text) => `${text}-`);
    fc.assert(
      fc.property(name, (text) => {
        expect(callerHeaders([[text, 'x']])).toEqual({ [text.toLowerCase()]: 'x' });
      }),
    );
    expect(Object.entries(callerHeaders([['constructor', 'x']]))).toEqual([['constructor', 'x']]);
    expect(Object.entries(callerHeaders([['__proto__', 'x']]))).toEqual([['__proto__', 'x']]);
  });
});

describe('A call with headers', () => {
  let app: MedplumApp;

  beforeEach(async () => (app = await startMedplumApp()));
  afterEach(() => app.close());

  /** How often a header arrived, whatever its spelling. */
  const arrivals = (name: string): string[] =>
    (app.wire.requests.at(-1)?.rawHeaders ?? []).filter(
      (_, i, raw) => raw[i - 1]?.toLowerCase() === name && i % 2 === 1,
    );

  it('sends its own, and the three of the library exactly once', async () => {
    await app.medplum.readResource('Patient', '1', {
      onBehalfOf: 'm-1',
      headers: new Headers({ 'X-Trace-Id': '5d8a' }),
    });
    expect(arrivals('x-trace-id')).toEqual(['5d8a']);
    expect(arrivals('authorization')).toEqual([`Basic ${Buffer.from('client-1:secret-1').toString('base64')}`]);
    expect(arrivals('x-medplum-on-behalf-of')).toEqual(['ProjectMembership/m-1']);
    expect(arrivals('x-medplum')).toEqual(['extended']);
  });

  it('sends none of the identity when it is made as the client itself', async () => {
    await app.medplum.asClientApplication(() => app.medplum.readResource('Patient', '1'));
    expect(arrivals('x-medplum-on-behalf-of')).toEqual([]);
    expect(arrivals('authorization')).toHaveLength(1);
  });

  it('is refused before anything is sent when it brings one of the library', async () => {
    for (const name of ['x-MEDPLUM-on-behalf-of', 'AUTHORIZATION', 'X-Medplum']) {
      const call = app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', headers: { [name]: 'extended' } });
      await expect(call).rejects.toBeInstanceOf(MedplumBadRequestError);
    }
    expect(app.wire.requests).toHaveLength(0);
  });

  it('is refused when a header contradicts what the call itself says', async () => {
    const { medplum } = app;
    const patient = { resourceType: 'Patient', id: '1', meta: { versionId: '7' } } as const;
    const onBehalfOf = 'm-1';
    // The condition decides whether a repetition is safe; If-Match "*" is ignored by Medplum in silence.
    await expect(
      medplum.createResourceIfNoneExist(patient, 'identifier=a|b', {
        onBehalfOf,
        headers: { 'If-None-Exist': 'name=a' },
      }),
    ).rejects.toBeInstanceOf(MedplumBadRequestError);
    await expect(medplum.updateResource(patient, { onBehalfOf, headers: { 'if-match': '*' } })).rejects.toBeInstanceOf(
      MedplumBadRequestError,
    );
    await expect(
      medplum.patchResource('Patient', '1', [{ op: 'remove', path: '/name' }], {
        onBehalfOf,
        headers: { 'content-type': 'text/plain' },
      }),
    ).rejects.toBeInstanceOf(MedplumBadRequestError);
    expect(app.wire.requests).toHaveLength(0);
  });

  it('may ask for another representation', async () => {
    await app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', headers: { Accept: 'application/json' } });
    expect(arrivals('accept')).toEqual(['application/json']);
  });
});
