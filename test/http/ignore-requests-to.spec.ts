import { MedplumConfigError } from 'nestjs-medplum';
import { ignoreRequestsTo } from '../../lib/http/ignore-requests-to';

describe('ignoreRequestsTo()', () => {
  const ignore = ignoreRequestsTo('https://api.example.com/projects/1/', 'http://localhost:80');

  it.each([
    ['the address as text', 'https://api.example.com/fhir/R4/Patient/1?name=a'],
    ['the address as a URL', new URL('http://localhost/fhir/R4/Patient')],
    ["undici's request", { origin: 'https://api.example.com' }],
    ["undici's request with a URL", { origin: new URL('https://api.example.com') }],
  ])('knows a request to one of the servers from %s', (_how, request) => {
    expect(ignore(request)).toBe(true);
  });

  it.each([
    ['another host', 'https://example.com/'],
    ['another port', 'http://localhost:8080/'],
    ['another scheme', { origin: 'http://api.example.com' }],
    ['what is no address', ''],
    ['a request without an origin', { path: '/' } as never],
  ])('leaves requests to %s alone, and does not throw', (_where, request) => {
    expect(ignore(request)).toBe(false);
  });

  it.each(['api.example.com', '', '/fhir/R4'])('refuses the address %j', (address) => {
    expect(() => ignoreRequestsTo('https://api.example.com/', address)).toThrow(MedplumConfigError);
  });
});
