import * as fc from 'fast-check';
import { MedplumBadRequestError } from 'nestjs-medplum';
import { serverPath } from '../../lib/fhir/server-path';

const BASE = { origin: 'https://medplum.example.org', path: '/' };
const read = (address: unknown) => serverPath(address, BASE);

/** The path of an address; `undefined` when it is refused. */
function attempt(address: string): string | undefined {
  try {
    return read(address).path;
  } catch (error) {
    if (error instanceof MedplumBadRequestError) {
      return undefined;
    }
    throw error;
  }
}

describe('The path of a raw call', () => {
  it.each([
    ['fhir/R4/Patient/123', { resourceType: 'Patient', resourceId: '123', pathTemplate: '/fhir/R4/Patient/{id}' }],
    ['/fhir/R4/Patient/123/_history/7', { resourceId: '123', pathTemplate: '/fhir/R4/Patient/{id}/_history/{id}' }],
    ['fhir/R4/Patient?name=Homer', { resourceType: 'Patient', query: 'name=Homer', pathTemplate: '/fhir/R4/Patient' }],
    ['fhir/R4/Patient/123/$everything', { operation: '$everything', resourceId: '123' }],
    ['api/fhir/R4/Patient/123', { resourceType: 'Patient', pathTemplate: '/api/fhir/R4/Patient/{id}' }],
    [
      'projects/p-1/fhir/R4/Patient/123',
      { resourceType: 'Patient', pathTemplate: '/projects/{id}/fhir/R4/Patient/{id}' },
    ],
    ['fhir/R4/Homer/123', { pathTemplate: '/fhir/R4/{type}/{id}' }],
    ['admin/projects/p-1/invite', { pathTemplate: '/admin/projects/{id}/invite' }],
    ['fhir/R4/Bot/b-1/$execute/a%20b', { pathTemplate: '/fhir/R4/Bot/{id}/$execute/{id}' }],
  ])('%s tells what it is about, and the template shows no id', (address, expected) => {
    expect(read(address)).toMatchObject(expected);
  });

  it.each(['fhir/R4/Homer/123', 'admin/projects/p-1/invite'])('%s is about no resource type', (address) => {
    expect(read(address).resourceType).toBeUndefined();
  });

  it.each([
    'fhir/R4',
    'fhir/R4/',
    '/fhir/R4?x=1',
    'FHIR/r4',
    'api/fhir/R4',
    'projects/p-1/fhir/R4',
    'api/projects/p-1/fhir/R4',
    'fhi%72/R4',
    'https://medplum.example.org/fhir/R4',
  ])('%s is the root, where bundles go', (address) => {
    expect(read(address).isFhirRoot).toBe(true);
  });

  it.each(['fhir/R4/Patient', 'fhir/R5', 'fhir', 'projects/fhir/R4', 'x/fhir/R4'])('%s is not the root', (address) => {
    expect(read(address).isFhirRoot).toBe(false);
  });

  const logins = ['oauth2/token', 'auth/me', 'OAuth2/token', 'o%61uth2/token', '%61uth/me', '%2561uth/me', 'auth'];
  const prefixes = ['', '/', 'api/', 'API/', 'projects/p-1/', 'api/projects/p-1/', 'projects/p-1/api/', 'a%70i/'];
  it.each(prefixes.flatMap((prefix) => logins.map((login) => prefix + login)))(
    '%s leads to tokens and logins, and is refused',
    (address) => {
      expect(() => read(address)).toThrow(/tokens and logins/);
    },
  );

  it.each([
    'fhir/R4/Patient/../../../auth/me',
    'fhir/R4/Patient/%2e%2e/Practitioner/1',
    'fhir/R4/Patient/.%2E/x',
    'fhir/R4/Patient/%252e%252e/x',
    'fhir/R4/Patient/.\t./x',
    'fhir/R4/Patient/.\n./x',
    String.raw`fhir/R4/Patient\..\..\auth`,
    'fhir/R4/./Patient',
    'fhir/R4//Patient',
    'fhir/R4/Patient/a%2fb',
    'fhir/R4/Patient/a%252fb',
    'fhir/R4/Patient/a%5Cb',
    'https://medplum.example.org/fhir/R4/../../auth/me',
  ])('%j could lead elsewhere than it seems, and is refused', (address) => {
    expect(() => read(address)).toThrow(MedplumBadRequestError);
  });

  it.each(['fhir/R4/Patient/%', 'fhir/R4/Patient/%zz', 'fhir/R4/Patient/%ff'])(
    '%s has a malformed percent-encoding, and is refused',
    (address) => {
      expect(() => read(address)).toThrow(/percent-encoding/);
    },
  );

  it('never reaches the login routes, whatever is appended to a checked folder', () => {
    const piece = fc.constantFrom(
      '..',
      '%2e%2e',
      '/',
      '\\',
      '%2f',
      'auth',
      'me',
      '.',
      '%5c',
      '\t',
      'api',
      'x',
      '%2561',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const path = attempt(`fhir/R4/Patient/${pieces.join('')}`);
        const resolved = path === undefined ? undefined : new URL(path, 'https://medplum.example.org/').pathname;
        expect([path?.startsWith('fhir/R4/Patient/') ?? true, resolved]).toEqual([true, path && `/${path}`]);
      }),
    );
  });
});
