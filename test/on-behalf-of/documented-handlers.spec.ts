import { Controller, Get, type INestApplication, Post, type Type, VersioningType } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCookieAuth,
  ApiExtension,
  ApiResponse,
  DocumentBuilder,
  type OpenAPIObject,
  SwaggerModule,
} from '@nestjs/swagger';
import { Test } from '@nestjs/testing';
import {
  AsClientApplication,
  documentOnBehalfOf,
  fromUser,
  MedplumModule,
  OnBehalfOf,
  WithoutMedplum,
} from 'nestjs-medplum';

class Shared {
  @Get('shared')
  shared() {}
}

@Controller('patients')
@OnBehalfOf(fromUser('membership'))
class Patients extends Shared {
  @Get(['', 'all'])
  list() {}

  @Post()
  @ApiResponse({ status: 401, description: 'Log in first.' })
  @ApiExtension('x-own', 1)
  create() {}

  @Get('cookie')
  @ApiCookieAuth()
  cookie() {}

  @Get('client')
  @AsClientApplication()
  client() {}

  @Get('without')
  @WithoutMedplum()
  without() {}

  @Get('fixed')
  @OnBehalfOf('Practitioner/scheduler')
  fixed() {}
}

@Controller({ path: 'charts', version: '2' })
@ApiBearerAuth()
@ApiResponse({ status: 403, description: 'Not your chart.' })
@OnBehalfOf(fromUser('membership'))
class Charts {
  @Get(':id')
  read() {}
}

@Controller('plain')
class Plain extends Shared {
  @Get()
  plain() {}
}

interface Operation {
  readonly responses: Record<string, { readonly description: string }>;
  readonly security?: unknown;
}

const fail = () => {
  throw new Error('planned');
};

const operation = (document: OpenAPIObject, verb: 'get' | 'post', path: string): Operation =>
  document.paths[path]?.[verb] as unknown as Operation;

describe('documentOnBehalfOf()', () => {
  let app: INestApplication;

  beforeAll(async () => {
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ clientId: 'client', clientSecret: 'secret' })],
      controllers: [Patients, Charts, Plain] as Type[],
    }).compile();
    app = module.createNestApplication();
    app.setGlobalPrefix('api');
    app.enableVersioning({ type: VersioningType.URI });
  });

  afterAll(() => app.close());

  const create = (config = new DocumentBuilder().addBearerAuth().build()) => SwaggerModule.createDocument(app, config);
  const BEARER = [{ bearer: [] }];

  it('adds responses and the security requirement to handlers that act for a user, wherever they are routed', () => {
    const document = documentOnBehalfOf(app, create, { security: 'bearer' });
    for (const path of ['/api/patients', '/api/patients/all']) {
      const { responses, security } = operation(document, 'get', path);
      expect(Object.keys(responses)).toEqual(['200', '401', '403', '503']);
      expect(responses['403']?.description).toBe('The user may not do this.');
      expect(security).toEqual(BEARER);
    }
    expect(Object.keys(operation(document, 'get', '/api/v2/charts/{id}').responses)).toContain('503');
  });

  it('changes nothing else, and leaves no mark', () => {
    const before = create();
    const document = documentOnBehalfOf(app, create, { security: 'bearer' });
    const same = ['/api/patients/client', '/api/patients/without', '/api/patients/fixed', '/api/patients/shared'];
    for (const path of [...same, '/api/plain', '/api/plain/shared']) {
      expect(document.paths[path]).toEqual(before.paths[path]);
    }
    expect(JSON.stringify(document)).not.toContain('medplum');
    expect(document.paths['/api/patients']?.post).toHaveProperty('x-own', 1);
    expect(create()).toEqual(before);
  });

  it('keeps what a handler or its class documents itself', () => {
    const document = documentOnBehalfOf(app, create, { security: 'bearer' });
    const created = operation(document, 'post', '/api/patients').responses;
    expect(created['401']?.description).toBe('Log in first.');
    expect(Object.keys(created)).toEqual(['401', '403', '503']);
    expect(operation(document, 'get', '/api/patients/cookie').security).toEqual([{ cookie: [] }]);
    const charts = operation(document, 'get', '/api/v2/charts/{id}');
    expect(charts.responses['403']?.description).toBe('Not your chart.');
    expect(charts.security).toEqual(BEARER);
  });

  it('adds no security requirement without the name of a scheme, or beside one of the document', () => {
    expect(operation(documentOnBehalfOf(app, create), 'get', '/api/patients').security).toBeUndefined();
    const config = new DocumentBuilder().addBearerAuth().addSecurityRequirements('bearer').build();
    const document = documentOnBehalfOf(app, () => create(config), { security: 'other' });
    expect(operation(document, 'get', '/api/patients').security).toBeUndefined();
  });

  it('leaves no mark when the document cannot be made', () => {
    expect(() => documentOnBehalfOf(app, fail)).toThrow('planned');
    expect(JSON.stringify(create())).not.toContain('medplum');
  });
});
