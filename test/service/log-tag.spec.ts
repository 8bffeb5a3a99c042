import { Test } from '@nestjs/testing';
import { MedplumConfigError, MedplumModule } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

const onBehalfOf = 'm-1';

let app: MedplumApp | undefined;

afterEach(async () => {
  await app?.close();
  app = undefined;
});

describe('logTag', () => {
  it('is sent with each request, unless the call has its own', async () => {
    app = await startMedplumApp({ logTag: 'clinic app' });
    await app.medplum.readResource('Patient', '1', { onBehalfOf });
    await app.medplum.readResource('Patient', '1', { onBehalfOf, headers: { 'X-Medplum-Log-Tag': 'night run' } });
    expect(app.wire.requests.map(({ headers }) => headers['x-medplum-log-tag'])).toEqual(['clinic app', 'night run']);
  });

  it('is not sent by default', async () => {
    app = await startMedplumApp();
    await app.medplum.readResource('Patient', '1', { onBehalfOf });
    expect(app.wire.requests[0]?.headers).not.toHaveProperty('x-medplum-log-tag');
  });

  it.each([['a'.repeat(129)], [''], ['Zoë'], ['a\nb']])('refuses %j, as Medplum would', async (logTag) => {
    const module = Test.createTestingModule({
      imports: [MedplumModule.forRoot({ clientId: 'c', clientSecret: 's', logTag })],
    });
    await expect(module.compile()).rejects.toBeInstanceOf(MedplumConfigError);
    app = await startMedplumApp();
    const call = app.medplum.readResource('Patient', '1', { onBehalfOf, headers: { 'x-medplum-log-tag': logTag } });
    await expect(call).rejects.toMatchObject({ code: 'MEDPLUM_BAD_REQUEST' });
    expect(app.wire.requests).toHaveLength(0);
  });
});
