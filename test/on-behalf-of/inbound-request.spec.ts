import { EventEmitter } from 'node:events';
import type { ExecutionContext } from '@nestjs/common';
import { InboundRequest, inboundRequestOf } from '../../lib/on-behalf-of/inbound-request';

/** A response as Node has it. */
class Response extends EventEmitter {
  destroyed = false;
  writableEnded = false;

  close(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

/** The forms in which frameworks hand a response on. */
const FORMS: readonly [string, (response: Response) => object][] = [
  ["Node's own, as with Express", (response) => response],
  ["Fastify's, around Node's", (response) => ({ raw: response })],
];

describe.each(FORMS)('An inbound request with a response that is %s', (_form, given) => {
  it('is open until its response is closed', () => {
    const response = new Response();
    const inbound = new InboundRequest({}, given(response));
    expect(inbound.isOpen).toBe(true);
    response.close();
    expect(inbound.isOpen).toBe(false);
  });

  it('tells of a client that hangs up before it has its response', () => {
    const response = new Response();
    const { disconnect } = new InboundRequest({}, given(response));
    expect(disconnect.aborted).toBe(false);
    response.close();
    expect(disconnect.aborted).toBe(true);
  });

  it('tells of a client that hung up before anybody asked', () => {
    const response = new Response();
    const inbound = new InboundRequest({}, given(response));
    response.close();
    expect(inbound.disconnect.aborted).toBe(true);
  });

  it('takes the end of a finished response for no disconnect', () => {
    const [early, late] = [new Response(), new Response()];
    const [asked, unasked] = [early, late].map((response) => new InboundRequest({}, given(response)));
    const disconnect = asked?.disconnect;
    for (const response of [early, late]) {
      response.writableEnded = true;
      response.close();
    }
    expect(disconnect?.aborted).toBe(false);
    expect(unasked?.disconnect.aborted).toBe(false);
  });

  it('has one signal, however often it is asked for', () => {
    const response = new Response();
    const inbound = new InboundRequest({}, given(response));
    expect(inbound.disconnect).toBe(inbound.disconnect);
    expect(response.listenerCount('close')).toBe(1);
  });
});

describe('An inbound request without a response', () => {
  it('is not open, and nobody hangs up', () => {
    const inbound = new InboundRequest({}, undefined);
    expect(inbound.isOpen).toBe(false);
    expect(inbound.disconnect.aborted).toBe(false);
    expect(new InboundRequest({}, {}).disconnect.aborted).toBe(false);
  });

  it('has no trace without headers', () => {
    expect(new InboundRequest({}, undefined).trace).toBeUndefined();
    expect(new InboundRequest({ headers: { 'x-request-id': 'r-1' } }, undefined).trace).toEqual({
      'x-request-id': 'r-1',
    });
  });
});

const context = (type: string, ...args: unknown[]) =>
  ({ getType: () => type, getArgByIndex: (index: number) => args[index] }) as unknown as ExecutionContext;

describe('The inbound request of a handler', () => {
  const open = new Response();

  it.each<readonly [string, ExecutionContext, boolean | undefined]>([
    ['over HTTP', context('http', {}, open), true],
    ['over GraphQL, with Express', context('graphql', {}, {}, { req: { res: open } }), true],
    ['over GraphQL, with a response in the context', context('graphql', {}, {}, { req: {}, res: open }), true],
    ['over GraphQL, with Fastify', context('graphql', {}, {}, { req: {}, reply: { raw: open } }), true],
    ['over GraphQL, without a response', context('graphql', {}, {}, { req: {} }), false],
    ['over GraphQL, without a request', context('graphql', {}, {}, {}), undefined],
    ['over GraphQL, without a context', context('graphql', {}, {}), undefined],
    ['of a message', context('rpc', {}, open), undefined],
  ])('%s', (_where, where, isOpen) => {
    expect(inboundRequestOf(where)?.isOpen).toBe(isOpen);
  });
});
