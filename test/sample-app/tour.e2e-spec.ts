import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ClinicBackend } from '../../sample-app/backend/clinic.backend';
import { ConfiguredBackend } from '../../sample-app/backend/configured.backend';
import { listen } from '../../sample-app/clinic.application';
import { PatientsService } from '../../sample-app/patients/patients.service';
import { textTable } from '../../sample-app/tour/text-table';
import { TourFailedError, TourStory } from '../../sample-app/tour/tour.story';
import { OpenClinic } from './support/open-clinic';

describe('the tour', () => {
  it('plays to its end, in 100 columns, without printing a password or an identity', async () => {
    const clinic = await OpenClinic.open();
    const lines: string[] = [];
    try {
      await new TourStory(clinic.app, clinic.url, (text) => lines.push(...text.split('\n'))).play();
      const text = lines.join('\n');
      expect(text).toContain('nora sees Anton Berger, Paula Weber');
      expect(text).toContain('meta.onBehalfOf names her: Dr. Nora Lind');
      expect(text).toMatch(/nora +create +\/fhir\/R4\/Patient +scope +1 +yes +success +201/);
      expect(text).toMatch(/nobody +search +\/fhir\/R4\/Patient +nobody +0 +- +refused/);
      expect(text).toMatch(/the app +search +\/fhir\/R4\/Practitioner +client-application +1 +no +success +200/);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
      for (const { password, membership, profile } of clinic.app.get(ClinicBackend).demoLogins) {
        expect(text).not.toContain(password);
        expect(text).not.toContain(membership);
        expect(text).not.toContain(profile);
      }
    } finally {
      await clinic.close();
    }
  });

  it('stops at the first claim that does not hold', async () => {
    const everybodySeesTheSame = { list: () => Promise.resolve([{ resourceType: 'Patient', id: '1' }]) };
    const clinic = await OpenClinic.open({}, (builder) =>
      builder.overrideProvider(PatientsService).useValue(everybodySeesTheSame),
    );
    try {
      const play = new TourStory(clinic.app, clinic.url, () => undefined).play();
      await expect(play).rejects.toThrow(TourFailedError);
      await expect(play).rejects.toThrow('no patient is in the lists of both organisations');
    } finally {
      await clinic.close();
    }
  });

  it('refuses to run on a real server', async () => {
    const medplum = { baseUrl: 'http://127.0.0.1:9/', clientId: 'client-1', clientSecret: 'secret-1' };
    const backend = await ConfiguredBackend.connect(medplum, undefined);
    const clinic = await OpenClinic.open({}, (builder) => builder.overrideProvider(ClinicBackend).useValue(backend));
    try {
      expect(() => new TourStory(clinic.app, clinic.url, () => undefined)).toThrow('unset MEDPLUM_BASE_URL');
    } finally {
      await clinic.close();
    }
  });
});

describe('textTable()', () => {
  it('aligns its columns and marks missing values', () => {
    expect(
      textTable([
        { a: 'long cell', b: 1 },
        { a: 'x', b: undefined },
      ]),
    ).toBe(['  a          b', '  ---------  -', '  long cell  1', '  x          -'].join('\n'));
  });
});

describe('listen()', () => {
  it('says that the port is in use, and closes the app', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    try {
      await expect(listen(await OpenClinic.make(), port)).rejects.toThrow(
        `Port ${port} is in use: set PORT to another one`,
      );
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });
});
