import { asOperationOutcome, isIdentityRefusal, requestIdOf } from '../../lib/http/response-error';

describe('An OperationOutcome', () => {
  it.each([undefined, null, 'OperationOutcome', 5, {}, { resourceType: 'OperationOutcome' }, { issue: [] }])(
    'is not %j',
    (value) => {
      expect(asOperationOutcome(value)).toBeUndefined();
    },
  );

  it('must be an object: a function with its members is none', () => {
    const odd = Object.assign(() => undefined, { resourceType: 'OperationOutcome', issue: [] });
    expect(asOperationOutcome(odd)).toBeUndefined();
  });
});

describe('A refusal of the identity', () => {
  const tracing = { url: 'https://medplum.com/fhir/StructureDefinition/tracing' };
  const outcome = (text: string, isTraced: boolean) =>
    asOperationOutcome({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: 'invalid', details: { text } }],
      ...(isTraced ? { extension: [tracing] } : {}),
    });

  it.each([
    [400, 'Authentication error', true, true],
    [403, 'Authentication error', true, false],
    [404, 'Not found', true, false],
    [404, 'Not found', false, true],
    [412, 'Precondition failed', false, false],
  ])('with status %d, the text "%s" and tracing %s: %s', (status, text, isTraced, expected) => {
    expect(isIdentityRefusal(status, outcome(text, isTraced), { rateLimited: false })).toBe(expected);
  });

  it('needs an outcome', () => {
    expect(isIdentityRefusal(403, undefined, { rateLimited: false })).toBe(false);
    expect(requestIdOf(undefined, undefined)).toBeUndefined();
  });
});
