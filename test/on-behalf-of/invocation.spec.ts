import { inspect } from 'node:util';
import type { ExecutionContext } from '@nestjs/common';
import { DEFAULT_CLIENT } from '../../lib/on-behalf-of/on-behalf-of.registry';
import { HandlerScopes } from '../../lib/on-behalf-of/handler-scopes';
import { keepScope } from '../../lib/on-behalf-of/keep-scope';
import { scopeIdentity } from '../../lib/on-behalf-of/identity';
import { IdentityResolver } from '../../lib/on-behalf-of/identity-resolver';
import { type HandlerPlan, invocationOf } from '../../lib/on-behalf-of/invocation';

const BART = 'ProjectMembership/bart';

const planOf = (name: string): HandlerPlan => ({ name, identities: [], isSse: false, runsWhenLast: undefined });

function contextOf(type: string, args: unknown[]): ExecutionContext {
  const context = { getType: () => type, getArgs: () => args, getArgByIndex: (index: number) => args[index] };
  return context as unknown as ExecutionContext;
}

function resolved() {
  const rules = {
    clientId: 'c',
    requireOnBehalfOf: true,
    allowEmptyClear: true,
    defaultOnBehalfOf: undefined,
    lateCalls: 'refuse' as const,
  };
  const client = {
    name: DEFAULT_CLIENT,
    identity: new IdentityResolver(rules, () => 'nobody'),
    resolveOnBehalfOf: undefined,
    isAuthenticated: () => true,
    hasDefault: false,
    reauthorizeEvery: 300_000,
    vet: () => undefined,
  };
  return [{ client, identity: scopeIdentity(BART) }];
}

describe('The invocation of a handler', () => {
  const plan = planOf('Charts.read');

  it('is found again on the raw request, which Fastify wraps anew for each layer', () => {
    const raw = {};
    const [guard, interceptor] = [contextOf('http', [{ raw }]), contextOf('http', [{ raw }])];
    expect(invocationOf(interceptor, plan)).toBe(invocationOf(guard, plan));
  });

  it('is a new one when a handler passes the request on to another', () => {
    const context = contextOf('http', [{}]);
    const first = invocationOf(context, plan);
    const second = invocationOf(context, planOf('Charts.readAgain'));
    expect(second).not.toBe(first);
    expect(invocationOf(context, plan)).not.toBe(first);
  });

  it('is one per message, although a client object serves many messages', () => {
    const socket = {};
    const message = [socket, { id: 1 }];
    const first = invocationOf(contextOf('ws', message), plan);
    expect(invocationOf(contextOf('ws', message), plan)).toBe(first);
    expect(invocationOf(contextOf('ws', [socket, { id: 2 }]), plan)).not.toBe(first);
    expect(Reflect.ownKeys(socket)).toEqual([]);
  });

  it('resolves once, and knows whether its scopes are open around the caller', () => {
    const invocation = invocationOf(contextOf('http', [{}]), plan);
    const resolve = jest.fn(resolved);
    expect(invocation.isInside).toBe(false);
    const scopes = new HandlerScopes(resolved(), undefined);
    invocation.opened(scopes);
    expect([invocation.isInside, scopes.enter(() => invocation.isInside), invocation.isInside]).toEqual([
      false,
      true,
      false,
    ]);
    expect(invocation.sharedResolution(resolve)).toBe(invocation.sharedResolution(resolve));
    expect(resolve).toHaveBeenCalledTimes(1);
  });

  it('keeps its scopes in whatever lazy value the handler returns', async () => {
    const scopes = new HandlerScopes(resolved(), undefined);
    const isInside = (): boolean => scopes.areAround;
    const held = <T>(value: T): T => {
      scopes.hold();
      return keepScope(value, scopes);
    };
    const stream = held(
      new ReadableStream(
        {
          pull(controller) {
            controller.enqueue(isInside());
            controller.close();
          },
        },
        { highWaterMark: 0 },
      ),
    );
    const builder = held({
      limit() {
        return this;
      },
      // oxlint-disable-next-line unicorn/no-thenable -- a lazy thenable is what is tested
      then: (resolve: (value: unknown) => void) => resolve(isInside()),
    });
    const [streamed, awaited] = [await stream.getReader().read(), await builder.limit()];
    expect([streamed.value, awaited, isInside()]).toEqual([true, true, false]);
  });

  it('shows no identity when the request is printed', () => {
    const request = { headers: {} };
    void invocationOf(contextOf('http', [request]), plan).sharedResolution(resolved);
    const printed = inspect(request, { depth: Infinity, showHidden: true }) + JSON.stringify({ ...request });
    expect(printed).not.toContain(BART);
  });
});
