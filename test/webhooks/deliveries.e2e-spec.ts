import { MedplumService, type MedplumStore, MemoryStore } from 'nestjs-medplum';
import { expectAllRequestsOnBehalfOf, signedWebhook } from 'nestjs-medplum/testing';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { gate } from '../support/gate';
import { PLATFORMS } from '../support/platforms';
import { SECRETS, startWebhookApp, type WebhookApp } from './webhook-app';

const secret = SECRETS.patients;

/** The text of a store may show where it is, and what it was asked. */
const broken = () => Promise.reject(new Error('redis://user:password@store/medplum-webhook:key'));

describe.each(PLATFORMS)('A webhook on %s', (platform) => {
  let hooks: WebhookApp;
  let log: CapturedLog;
  const store = new MemoryStore();

  beforeAll(async () => {
    log = captureLog();
    hooks = await startWebhookApp(platform, { store });
  });

  beforeEach(() => {
    hooks.handlers.handled.length = 0;
    hooks.handlers.work = () => undefined;
    hooks.handlers.membership = hooks.ann.membership;
    hooks.emulator.clearRequests();
  });

  const spies: jest.SpyInstance[] = [];
  const spyOnStore = (method: keyof MedplumStore): jest.SpyInstance => {
    const spy = jest.spyOn(store, method);
    spies.push(spy);
    return spy;
  };

  // Not all mocks: the log is one as well.
  const restoreStore = () => spies.splice(0).forEach((spy) => spy.mockRestore());
  afterEach(restoreStore);

  afterAll(async () => {
    log.restore();
    await hooks?.close();
  });

  const patient = (family = 'Simpson') =>
    hooks.emulator.createResource({ resourceType: 'Patient', gender: 'female', name: [{ family }] });

  const asClient = <T>(fn: (medplum: MedplumService) => T): T => {
    const medplum = hooks.app.get(MedplumService);
    return medplum.asClientApplication(() => fn(medplum));
  };

  it('hands the handler the resource as its identity reads it, and responds with an empty 204', async () => {
    const resource = await patient();
    hooks.handlers.work = () => ({ secret: 'not for Medplum' });
    const response = await fetch(`${hooks.url}/hooks/patients`, signedWebhook({ secret, resource }));
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(hooks.handlers.handled).toEqual([
      {
        route: 'patients',
        event: {
          interaction: 'create',
          resourceType: 'Patient',
          id: resource.id,
          resource: expect.objectContaining({ id: resource.id, name: [{ family: 'Simpson' }] }),
        },
        onBehalfOf: hooks.ann.membership,
      },
    ]);
    expect(hooks.emulator.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `GET /fhir/R4/Patient/${resource.id}`,
    ]);
    expectAllRequestsOnBehalfOf(hooks.emulator, hooks.ann.membership);
  });

  it('believes the server, not the body: the handler sees what is stored', async () => {
    const resource = await patient();
    const forged = { ...resource, name: [{ family: 'Forged' }] };
    expect(await hooks.post('patients', signedWebhook({ secret, resource: forged, interaction: 'update' }))).toBe(204);
    expect(hooks.handlers.handled[0]?.event).toMatchObject({
      interaction: 'update',
      resource: { name: [{ family: 'Simpson' }] },
    });
  });

  it('runs calls of the handler as its identity', async () => {
    const resource = await patient();
    hooks.handlers.work = (medplum) => medplum.searchResources('Patient', { _id: resource.id });
    expect(await hooks.post('patients', signedWebhook({ secret, resource }))).toBe(204);
    expect(hooks.emulator.requests).toHaveLength(2);
    expectAllRequestsOnBehalfOf(hooks.emulator, hooks.ann.membership);
  });

  it('drops a repetition without reading', async () => {
    const delivery = signedWebhook({ secret, resource: await patient() });
    expect(await hooks.post('patients', delivery)).toBe(204);
    hooks.emulator.clearRequests();
    expect(await hooks.post('patients', delivery)).toBe(204);
    expect(
      await hooks.post('patients', {
        ...delivery,
        headers: { ...delivery.headers, 'x-medplum-interaction': 'update', 'x-medplum-subscription': 'another' },
      }),
    ).toBe(204);
    expect(hooks.handlers.handled).toHaveLength(1);
    expect(hooks.emulator.requests).toEqual([]);
  });

  it('handles a version once for each route', async () => {
    const resource = await patient();
    expect(await hooks.post('patients', signedWebhook({ secret, resource }))).toBe(204);
    expect(await hooks.post('others', signedWebhook({ secret: SECRETS.others, resource }))).toBe(204);
    expect(hooks.handlers.handled.map(({ route }) => route)).toEqual(['patients', 'others']);
  });

  it('handles each version, and may show a newer one than was delivered', async () => {
    const first = await patient('First');
    const second = await asClient((medplum) => medplum.updateResource({ ...first, name: [{ family: 'Second' }] }));
    expect(await hooks.post('patients', signedWebhook({ secret, resource: first }))).toBe(204);
    expect(await hooks.post('patients', signedWebhook({ secret, resource: second, interaction: 'update' }))).toBe(204);
    const seen = hooks.handlers.handled.map(({ event }) => [event.interaction, event.resource?.meta?.versionId]);
    expect(seen).toEqual([
      ['create', second.meta?.versionId],
      ['update', second.meta?.versionId],
    ]);
  });

  it('lets a delivery come again after the handler failed', async () => {
    const delivery = signedWebhook({ secret, resource: await patient() });
    hooks.handlers.work = () => Promise.reject(new Error('broken'));
    expect(await hooks.post('patients', delivery)).toBe(500);
    hooks.handlers.work = () => undefined;
    expect(await hooks.post('patients', delivery)).toBe(204);
    expect(await hooks.post('patients', delivery)).toBe(204);
    expect(hooks.handlers.handled).toHaveLength(2);
  });

  it('lets a delivery come again after the read failed, and refuses it when the identity was refused', async () => {
    const delivery = signedWebhook({ secret, resource: await patient() });
    hooks.emulator.injectFault({ method: 'GET', path: '/fhir/R4/Patient', status: 503, times: 1 });
    expect(await hooks.post('patients', delivery)).toBe(502);
    hooks.handlers.membership = 'ProjectMembership/00000000-0000-4000-8000-000000000000';
    expect(await hooks.post('patients', delivery)).toBe(403);
    hooks.handlers.membership = hooks.ann.membership;
    expect(await hooks.post('patients', delivery)).toBe(204);
    expect(hooks.handlers.handled).toHaveLength(1);
  });

  it('refuses a delivery when the source names nobody', async () => {
    hooks.handlers.membership = undefined;
    expect(await hooks.post('patients', signedWebhook({ secret, resource: await patient() }))).toBe(401);
    hooks.handlers.membership = '';
    expect(await hooks.post('patients', signedWebhook({ secret, resource: await patient() }))).toBe(500);
    hooks.handlers.membership = `ClientApplication/${hooks.emulator.options().clientId}`;
    expect(await hooks.post('patients', signedWebhook({ secret, resource: await patient() }))).toBe(500);
    expect(hooks.handlers.handled).toEqual([]);
    expect(hooks.emulator.requests).toEqual([]);
  });

  it('drops what the identity may not read, until it may', async () => {
    const resource = await hooks.emulator.createResource({ resourceType: 'Patient', gender: 'male' });
    const delivery = signedWebhook({ secret, resource });
    hooks.handlers.membership = hooks.bea.membership;
    expect(await hooks.post('patients', delivery)).toBe(204);
    expect(hooks.handlers.handled).toEqual([]);
    expect(log.text('warn')).toContain('may not read the resource');
    hooks.handlers.membership = hooks.ann.membership;
    expect(await hooks.post('patients', delivery)).toBe(204);
    expect(hooks.handlers.handled).toHaveLength(1);
  });

  it('drops the delivery of a resource that was deleted meanwhile', async () => {
    const resource = await patient();
    await asClient((medplum) => medplum.deleteResource('Patient', resource.id));
    expect(await hooks.post('patients', signedWebhook({ secret, resource }))).toBe(204);
    expect(hooks.handlers.handled).toEqual([]);
  });

  describe('for a delete', () => {
    it('runs once when the server says that the resource is gone', async () => {
      const { id } = await patient();
      await asClient((medplum) => medplum.deleteResource('Patient', id));
      const delivery = signedWebhook({ secret, deleted: `Patient/${id}` });
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(hooks.handlers.handled.map(({ event }) => event)).toEqual([
        { interaction: 'delete', resourceType: 'Patient', id },
      ]);
      expectAllRequestsOnBehalfOf({ requests: hooks.emulator.requests.slice(1) }, hooks.ann.membership);
    });

    it('is told to come again while the resource exists', async () => {
      const { id } = await patient();
      const delivery = signedWebhook({ secret, deleted: `Patient/${id}` });
      expect(await hooks.post('patients', delivery)).toBe(409);
      await asClient((medplum) => medplum.deleteResource('Patient', id));
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(hooks.handlers.handled).toHaveLength(1);
    });

    it('drops it when the identity cannot tell: never existed, or criteria hide it', async () => {
      const never = '00000000-0000-4000-8000-000000000000';
      expect(await hooks.post('patients', signedWebhook({ secret, deleted: `Patient/${never}` }))).toBe(204);
      const { id } = await patient();
      await asClient((medplum) => medplum.deleteResource('Patient', id));
      hooks.handlers.membership = hooks.bea.membership;
      expect(await hooks.post('patients', signedWebhook({ secret, deleted: `Patient/${id}` }))).toBe(204);
      expect(hooks.handlers.handled).toEqual([]);
      expect(log.text('warn')).toContain('cannot tell whether the resource is gone');
    });

    it('counts again after the resource was restored', async () => {
      const { meta: _, ...resource } = await patient();
      const remove = () => asClient((medplum) => medplum.deleteResource('Patient', resource.id));
      const delivery = signedWebhook({ secret, deleted: `Patient/${resource.id}` });
      await remove();
      expect(await hooks.post('patients', delivery)).toBe(204);
      const restored = await asClient((medplum) => medplum.updateResource(resource));
      expect(await hooks.post('patients', signedWebhook({ secret, resource: restored }))).toBe(204);
      await remove();
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(hooks.handlers.handled.map(({ event }) => event.interaction)).toEqual(['delete', 'create', 'delete']);
    });
  });

  describe('with the same delivery several times at once', () => {
    it('runs the handler once, and tells the others to come again', async () => {
      const [entered, leave] = [gate(), gate()];
      hooks.handlers.work = () => (entered.open(), leave.opened);
      const delivery = signedWebhook({ secret, resource: await patient() });
      const first = hooks.post('patients', delivery);
      await entered.opened;
      const others = await Promise.all(Array.from({ length: 5 }, () => hooks.post('patients', delivery)));
      leave.open();
      expect([await first, ...others]).toEqual([204, 409, 409, 409, 409, 409]);
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(hooks.handlers.handled).toHaveLength(1);
    });

    it('runs it again if it failed', async () => {
      const [entered, leave] = [gate(), gate()];
      hooks.handlers.work = async () => {
        entered.open();
        await leave.opened;
        throw new Error('broken');
      };
      const delivery = signedWebhook({ secret, resource: await patient() });
      const first = hooks.post('patients', delivery);
      await entered.opened;
      expect(await hooks.post('patients', delivery)).toBe(409);
      leave.open();
      expect(await first).toBe(500);
      hooks.handlers.work = () => undefined;
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(hooks.handlers.handled).toHaveLength(2);
    });
  });

  describe('with a store that fails', () => {
    it.each(['add', 'get'] as const)('refuses the delivery when %s() fails, and sends nothing', async (method) => {
      const delivery = signedWebhook({ secret, resource: await patient() });
      if (method === 'get') {
        spyOnStore('add').mockResolvedValue(false);
      }
      spyOnStore(method).mockImplementation(broken);
      expect(await hooks.post('patients', delivery)).toBe(503);
      restoreStore();
      expect(hooks.emulator.requests).toEqual([]);
      expect(await hooks.post('patients', delivery)).toBe(204);
      expect(hooks.handlers.handled).toHaveLength(1);
    });

    it('refuses it when the store throws at once', async () => {
      spyOnStore('add').mockImplementation(() => {
        throw new Error('broken');
      });
      expect(await hooks.post('patients', signedWebhook({ secret, resource: await patient() }))).toBe(503);
      expect(hooks.handlers.handled).toEqual([]);
    });

    it('stands by what the handler did', async () => {
      spyOnStore('set').mockImplementation(broken);
      expect(await hooks.post('patients', signedWebhook({ secret, resource: await patient() }))).toBe(204);
      spyOnStore('delete').mockImplementation(broken);
      hooks.handlers.work = () => Promise.reject(new Error('of the handler'));
      expect(await hooks.post('patients', signedWebhook({ secret, resource: await patient() }))).toBe(500);
      expect(hooks.handlers.handled).toHaveLength(2);
    });
  });

  it('takes both secrets while one is rotated', async () => {
    for (const each of SECRETS.rotated) {
      expect(await hooks.post('rotated', signedWebhook({ secret: each, resource: await patient() }))).toBe(204);
    }
    expect(await hooks.post('rotated', signedWebhook({ secret, resource: await patient() }))).toBe(401);
    expect(hooks.handlers.handled.map(({ route }) => route)).toEqual(['rotated', 'rotated']);
  });

  it('takes a secret that a function returns', async () => {
    expect(await hooks.post('others', signedWebhook({ secret: SECRETS.others, resource: await patient() }))).toBe(204);
    expect(hooks.handlers.handled.map(({ route }) => route)).toEqual(['others']);
  });

  it('keeps ids, secrets and texts of the store out of the log and out of the keys', async () => {
    const keys = spyOnStore('add');
    spyOnStore('set').mockImplementation(() => Promise.reject(new Error('a text of the store')));
    const resource = await patient();
    await hooks.post('rotated', signedWebhook({ secret: SECRETS.rotated[0], resource }));
    await hooks.post('rotated', signedWebhook({ secret: SECRETS.others, resource }));
    const shown = `${JSON.stringify(log.given)} ${JSON.stringify(keys.mock.calls)}`;
    expect(log.text('warn')).toContain('because the store failed with Error.');
    expect(log.text('warn')).toContain('HooksController.rotated');
    for (const hidden of [
      resource.id,
      hooks.ann.membership,
      ...SECRETS.rotated,
      SECRETS.others,
      'a text of the store',
    ]) {
      expect(shown).not.toContain(hidden);
    }
  });
});
