import type { Observation, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { WithId } from 'nestjs-medplum';
import { RecentCalls } from '../../sample-app/audit/recent-calls.service';
import { ClinicBackend } from '../../sample-app/backend/clinic.backend';
import { OpenClinic } from './support/open-clinic';

const HEART_RATE = { resourceType: 'Observation', status: 'final', code: { text: 'Heart rate' } };

describe('membership ids', () => {
  let clinic: OpenClinic;
  beforeAll(async () => {
    clinic = await OpenClinic.open();
  });
  afterAll(() => clinic?.close());

  it('are in no answer of the API, whoever asks and however the request ends', async () => {
    const answers: string[] = [];
    const { demoLogins } = clinic.app.get(ClinicBackend);
    for (const { name, password, membership } of demoLogins) {
      const browser = clinic.browser();
      const send = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
        // Whatever is sent is not what the answer may repeat.
        const headers = { 'X-Medplum-On-Behalf-Of': membership };
        const answer = await browser.send<T>(method, path, body, headers);
        answers.push(
          [`${method} ${path} ${answer.status}`, ...answer.headers, JSON.stringify(answer.body)].join('\n'),
          ...[...browser.cookies.values()].map((value) => Buffer.from(value, 'base64').toString('utf8')),
        );
        return answer.body;
      };
      await send('POST', '/auth/login', { name, password: 'wrong' });
      await send('POST', '/auth/login', {});
      await send('POST', '/auth/login', { name, password });
      for (const path of [
        '/auth/me',
        '/status',
        '/health',
        '/undecorated',
        '/observations',
        '/patients/none',
        '/none',
      ]) {
        await send('GET', path);
      }
      const [patient] = await send<WithId<Patient>[]>('GET', '/patients');
      await send('GET', `/patients/${patient?.id}`);
      await send('PUT', `/patients/${patient?.id}`, { ...patient, active: true });
      await send('PUT', `/patients/${patient?.id}`, { ...patient, active: false });
      const created = await send<Partial<Patient>>('POST', '/patients', {
        resourceType: 'Patient',
        name: [{ family: 'Simpson' }],
      });
      const subject = { reference: `Patient/${patient?.id}` };
      const observation = await send<Partial<Observation>>('POST', '/observations', { ...HEART_RATE, subject });
      await send('POST', '/observations', { ...HEART_RATE, subject: { reference: 'Patient/none' } });
      await send('DELETE', `/observations/${observation.id ?? 'none'}`);
      await send('DELETE', `/patients/${created.id ?? 'none'}`);
      await send('POST', '/auth/logout');
    }
    answers.push(JSON.stringify(clinic.app.get(RecentCalls).calls));

    const text = answers.join('\n\n');
    for (const status of [200, 201, 204, 400, 401, 403, 404, 412, 422, 500]) {
      expect(text).toMatch(new RegExp(`^[A-Z]+ /\\S* ${status}$`, 'm'));
    }
    expect(text).toContain('nora');
    const ids = demoLogins.map(({ membership }) => membership.replace('ProjectMembership/', ''));
    const leaks = (answer: string): boolean => ['ProjectMembership/', ...ids].some((part) => answer.includes(part));
    expect(answers.filter(leaks)).toEqual([]);
  });
});
