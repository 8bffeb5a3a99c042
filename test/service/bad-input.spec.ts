import type { MedplumService } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

/** Texts that no id, version, type or name may be. */
const WRONG = [
  '',
  '.',
  '..',
  'a/b',
  '../x',
  String.raw`a\b`,
  '%2e%2e',
  'a%2Fb',
  'a?b',
  'a#b',
  'a b',
  'a\n',
  'a'.repeat(65),
];

const REMOVE = [{ op: 'remove', path: '/a' }] as const;

/** Every place where text from the caller becomes part of a path or a header. */
const PLACES: Readonly<Record<string, (m: MedplumService, text: string) => unknown>> = {
  'readVersion id': (m, text) => m.readVersion('Patient', text, '1'),
  'readVersion version': (m, text) => m.readVersion('Patient', '1', text),
  'readVersion type': (m, text) => m.readVersion(text as 'Patient', '1', '1'),
  'readHistory id': (m, text) => m.readHistory('Patient', text),
  'readReference id': (m, text) => m.readReference(`Patient/${text}`),
  'readReference version': (m, text) => m.readReference(`Patient/1/_history/${text}`),
  'conditionalDelete type': (m, text) => m.conditionalDelete(text as 'Patient', 'a=b'),
  'conditionalPatch type': (m, text) => m.conditionalPatch(text as 'Patient', 'a=b', REMOVE),
  'upsertResource type': (m, text) => m.upsertResource({ resourceType: text as 'Patient' }, 'a=b'),
  'searchResourcePages type': (m, text) => m.searchResourcePages(text as 'Patient').next(),
  'searchTypes type': (m, text) => m.searchTypes(['Patient', text as 'Patient']),
  'operations.execute type': (m, text) => m.operations.execute({ operation: 'x', resourceType: text }),
  'operations.execute id': (m, text) => m.operations.execute({ operation: 'x', resourceType: 'Patient', id: text }),
  'operations.validateResource type': (m, text) => m.operations.validateResource({ resourceType: text as 'Patient' }),
  'operations.everything id': (m, text) => m.operations.everything(text),
  'operations.cloneProject id': (m, text) => m.operations.cloneProject(text),
  'operations.cloneProject excluded id': (m, text) => m.operations.cloneProject('p1', { excludeIds: [text] }),
  'executeBot id': (m, text) => m.executeBot(text),
  'bots.deploy id': (m, text) => m.bots.deploy(text, 'code'),
  'bots.create project': (m, text) => m.bots.create(text, { name: 'a' }),
  'binaries.download id': (m, text) => m.binaries.download(text),
  'binaries.downloadAttachment owner': (m, text) => m.binaries.downloadAttachment(`Patient/${text}`, 'photo[0]'),
  'binaries.upload security context': (m, text) =>
    m.binaries.upload('a', { contentType: 'text/plain', securityContext: `Patient/${text}` }),
  'bulk.export group': (m, text) => m.bulk.export({ level: { group: text } }),
};

let app: MedplumApp;

beforeAll(async () => (app = await startMedplumApp()));
afterAll(() => app.close());

describe.each(Object.entries(PLACES))('%s', (_place, call) => {
  it.each(WRONG)('refuses %j, and sends nothing', async (text) => {
    const medplum = app.medplum.actingAs('m-1');
    await expect(Promise.resolve(call(medplum, text))).rejects.toMatchObject({
      code: 'MEDPLUM_BAD_REQUEST',
      effect: 'none',
    });
    expect(app.wire.requests).toEqual([]);
  });
});
