import { Body, Controller, type INestApplication, Post, type RawBodyRequest, Req } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { enableFhirJson } from 'nestjs-medplum';
import { listen, PLATFORMS } from '../support/platforms';

@Controller('echo')
class EchoController {
  @Post()
  echo(@Body() body: unknown) {
    return { body: body ?? null };
  }

  @Post('raw')
  raw(@Req() request: RawBodyRequest<object>) {
    return { raw: request.rawBody?.toString() ?? null };
  }
}

const textOf = (bytes: number) => JSON.stringify({ text: 'x'.repeat(bytes) });

describe.each(PLATFORMS)('enableFhirJson() on %s', (platform) => {
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    const module = await Test.createTestingModule({ controllers: [EchoController] }).compile();
    ({ app, url } = await listen(module, platform, (created) => enableFhirJson(created, { limit: 200_000 })));
  });

  afterAll(async () => {
    await app?.close();
  });

  const post = async (contentType: string, body: string) => {
    const response = await fetch(`${url}/echo`, { method: 'POST', headers: { 'content-type': contentType }, body });
    return { status: response.status, body: await response.json() };
  };

  it.each(['application/fhir+json', 'application/fhir+json; charset=utf-8', 'application/json'])(
    'parses %s',
    async (type) => {
      const patient = { resourceType: 'Patient', name: [{ family: 'Simpson' }] };
      expect(await post(type, JSON.stringify(patient))).toEqual({ status: 201, body: { body: patient } });
    },
  );

  it('answers 400 for a body that is not JSON', async () => {
    expect((await post('application/fhir+json', '{"resourceType":')).status).toBe(400);
  });

  it('takes bodies up to its limit', async () => {
    expect((await post('application/fhir+json', textOf(150_000))).status).toBe(201);
    expect((await post('application/fhir+json', textOf(250_000))).status).toBe(413);
  });

  it('still parses forms', async () => {
    expect(await post('application/x-www-form-urlencoded', 'a=1')).toEqual({ status: 201, body: { body: { a: '1' } } });
  });
});

describe.each(PLATFORMS)('enableFhirJson() and rawBody on %s', (platform) => {
  const rawBodyOf = async (options: { rawBody?: boolean }, contentType: string): Promise<unknown> => {
    const module = await Test.createTestingModule({ controllers: [EchoController] }).compile();
    const { app, url } = await listen(module, platform, enableFhirJson, options);
    try {
      const body = '{ "resourceType": "Patient", "gender":"\u00e4" }';
      const response = await fetch(`${url}/echo/raw`, {
        method: 'POST',
        headers: { 'content-type': contentType },
        body,
      });
      return await response.json();
    } finally {
      await app.close();
    }
  };

  it.each(['application/fhir+json', 'application/json'])(
    'keeps the bytes of %s when the app asks for them',
    async (type) => {
      expect(await rawBodyOf({ rawBody: true }, type)).toEqual({
        raw: '{ "resourceType": "Patient", "gender":"\u00e4" }',
      });
    },
  );

  it('keeps no bytes when the app does not ask for them', async () => {
    expect(await rawBodyOf({}, 'application/fhir+json')).toEqual({ raw: null });
  });
});
