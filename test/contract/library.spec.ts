import { Test, type TestingModule } from '@nestjs/testing';
import { MedplumModule } from 'nestjs-medplum';
import { type ContractServer, contractCases, isRealServer, startContractServer } from './contract-server';
import { clientOf, isCallable, LibraryReplay } from './library-replay';
import { RecordingProxy } from './recording-proxy';
import type { WireCase } from './wire-case.types';
import { WireVariables } from './wire-variables';

const cases = contractCases().filter(isCallable);
const groups = [...new Set(cases.map(({ group }) => group))];

let server: ContractServer;
let proxy: RecordingProxy;
let app: TestingModule;

beforeAll(async () => {
  server = await startContractServer();
  proxy = await RecordingProxy.start(server.baseUrl);
  const clients = new Map(cases.map((one) => [clientOf(one), one]));
  app = await Test.createTestingModule({
    imports: [...clients].map(([name, one]) => clientModule(name, one)),
  }).compile();
  await app.init();
});

afterAll(async () => {
  await app?.close();
  await proxy?.close();
  await server?.close();
});

function clientModule(name: string, { client, auth, extended = false }: WireCase) {
  const variables = new WireVariables(server.seeded, '');
  const isWrong = client === 'badsecret';
  const id = isWrong ? 'C' : client;
  return MedplumModule.forRoot({
    name,
    baseUrl: proxy.baseUrl,
    publicUrl: server.seeded.baseUrl,
    clientId: variables.get(`${id}.id`),
    clientSecret: isWrong ? 'not-the-secret' : variables.get(`${id}.secret`),
    auth: auth === 'bearer' ? 'client-credentials' : 'basic',
    extended,
    requireOnBehalfOf: false,
    retry: { maxRetries: 0 },
  });
}

describe.each(['service', 'fetch'] as const)('recorded cases, called through the library (%s)', (road) => {
  let replay: LibraryReplay;

  beforeAll(() => (replay = new LibraryReplay(app, proxy, server.seeded, road)));

  describe.each(groups)('%s', (group) => {
    const ofGroup = cases.filter((one) => one.group === group);

    it.each(ofGroup.map((one) => [one.id, one.title, one] as const))(
      '%s %s',
      async (_id, _title, wireCase) => {
        expect(await replay.run(wireCase)).toEqual([]);
      },
      isRealServer ? 90_000 : undefined,
    );
  });
});
