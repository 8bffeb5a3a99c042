import { Controller, Get, Param, UseGuards } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import * as fc from 'fast-check';
import { fromUser, MedplumAudit, MedplumModule, MedplumService, OnBehalfOf, type RequestEvent } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { listen, PLATFORMS } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer } from '../support/wire-server';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const OTHER = `00-${'1'.repeat(32)}-b7ad6b7169203331-01`;

@Controller()
@UseGuards(TestUserGuard)
@OnBehalfOf(fromUser('membership'))
class ChartController {
  constructor(private readonly medplum: MedplumService) {}

  @Get('read/:id')
  read(@Param('id') id: string): Promise<unknown> {
    return this.medplum.readResource('Patient', id);
  }

  @Get('own/:id')
  own(@Param('id') id: string): Promise<unknown> {
    return this.medplum.readResource('Patient', id, { headers: { traceparent: OTHER, 'X-Request-Id': 'own' } });
  }

  @Get('trace-id/:id')
  traceId(@Param('id') id: string): Promise<unknown> {
    return this.medplum.readResource('Patient', id, { headers: { 'X-Trace-Id': TRACE } });
  }

  @Get('job/:id')
  job(@Param('id') id: string): Promise<unknown> {
    return this.medplum.actingAs('ProjectMembership/job').readResource('Patient', id);
  }

  @Get('memberships/:id')
  memberships(@Param('id') id: string): Promise<unknown> {
    return this.medplum.memberships.find({ profile: `Practitioner/${id}` });
  }
}

describe.each(PLATFORMS)('The trace headers of a request on %s', (platform) => {
  let wire: WireServer;
  let events: RequestEvent[];
  let app: Awaited<ReturnType<typeof listen>>;

  beforeAll(async () => {
    wire = await WireServer.start(({ path }) => ({
      body: path.includes('ProjectMembership') ? { resourceType: 'Bundle' } : { resourceType: 'Patient', id: '1' },
    }));
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options())],
      controllers: [ChartController],
    }).compile();
    module.get(MedplumAudit).events$.subscribe((event) => events.push(event));
    app = await listen(module, platform);
  });

  beforeEach(() => {
    wire.requests.length = 0;
    events = [];
  });

  afterAll(() => closeAll(app.app, wire));

  async function get(path: string, headers: Record<string, string>): Promise<void> {
    const answer = await fetch(`${app.url}/${path}`, { headers: { 'x-test-user': 'm-1', ...headers } });
    expect(answer.status).toBe(200);
  }

  it.each(['read/1', 'memberships/1'])('are sent to Medplum, and are in the event: %s', async (path) => {
    await get(path, { traceparent: PARENT, 'x-request-id': 'req-7' });
    expect(wire.requests).toMatchObject([{ headers: { traceparent: PARENT, 'x-request-id': 'req-7' } }]);
    expect(events).toMatchObject([{ traceId: TRACE, inboundRequestId: 'req-7' }]);
    expect(events[0]?.toJSON()).toMatchObject({ traceId: TRACE, inboundRequestId: 'req-7' });
  });

  it('give way to those of the call', async () => {
    await get('own/1', { traceparent: PARENT, 'x-request-id': 'req-7' });
    expect(wire.requests).toMatchObject([{ headers: { traceparent: OTHER, 'x-request-id': 'own' } }]);
    expect(events).toMatchObject([{ traceId: '1'.repeat(32), inboundRequestId: 'req-7' }]);
  });

  it('do not replace a trace that the call names with another header', async () => {
    await get('trace-id/1', { traceparent: PARENT });
    expect(wire.requests[0]?.headers).toMatchObject({ 'x-trace-id': TRACE });
    expect(wire.requests[0]?.headers).not.toHaveProperty('traceparent');
  });

  it('are not sent by a client outside the scope', async () => {
    await get('job/1', { traceparent: PARENT, 'x-request-id': 'req-7' });
    expect(wire.requests[0]?.headers).not.toHaveProperty('traceparent');
    expect(events[0]?.inboundRequestId).toBeUndefined();
  });

  it.each([
    ['traceparent', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['traceparent', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['traceparent', `ff-${TRACE}-b7ad6b7169203331-01`],
    ['traceparent', PARENT.toUpperCase()],
    ['traceparent', `${PARENT}-Homer`],
    ['x-request-id', 'Homer Simpson'],
    ['x-request-id', 'Patient/123'],
    ['x-request-id', 'homer@example.com'],
    ['x-request-id', 'a'.repeat(129)],
    ['x-request-id', 'a, b'],
  ])('are dropped when they are malformed: %s %s', async (name, value) => {
    await get('read/1', { [name]: value });
    expect(wire.requests[0]?.headers).not.toHaveProperty(name);
    expect(events[0]?.toJSON()).not.toHaveProperty('inboundRequestId');
    expect(events[0]?.toJSON()).not.toHaveProperty('traceId');
  });

  it('never put anything but a token into a log, whatever they hold', async () => {
    const visible = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code)) });
    await fc.assert(
      fc.asyncProperty(visible, visible, async (traceparent, requestId) => {
        events = [];
        await get('read/1', { traceparent, 'x-request-id': requestId });
        const { traceId = '', inboundRequestId = '' } = events[0] ?? {};
        expect(traceId).toMatch(/^[\da-f]{0,32}$/);
        expect(inboundRequestId).toMatch(/^[\w.:+=-]{0,128}$/);
      }),
      { numRuns: 50 },
    );
  });
});
