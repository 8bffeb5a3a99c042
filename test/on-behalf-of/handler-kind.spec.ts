import { Get, Header, SetMetadata, UseGuards } from '@nestjs/common';
import { handlerKind } from '../../lib/on-behalf-of/handler-kind';

class NoGuard {
  canActivate(): boolean {
    return true;
  }
}

/** A method with these decorators. */
function method(...decorators: readonly MethodDecorator[]): Function {
  class Charts {
    read(): void {
      // Only its metadata matters.
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Charts.prototype, 'read') as TypedPropertyDescriptor<() => void>;
  decorators.forEach((decorate) => decorate(Charts.prototype, 'read', descriptor as never));
  return descriptor.value as Function;
}

const marked = (key: string | symbol) =>
  ((_target: object, _name: string | symbol, descriptor: PropertyDescriptor) =>
    Reflect.defineMetadata(key, true, descriptor.value as Function)) as MethodDecorator;

describe('What runs a method', () => {
  it.each<readonly [string, Function]>([
    ['a route', method(Get())],
    ['a route with a guard and a header', method(Get(), UseGuards(NoGuard), Header('x-a', 'b'))],
    ['a message handler', method(marked('microservices:handler_type'))],
    ['a message of a gateway', method(marked('websockets:message_mapping'))],
    ['a query of GraphQL', method(SetMetadata('graphql:resolver_type', 'Query'))],
    ['a mutation of GraphQL', method(SetMetadata('graphql:resolver_type', 'Mutation'))],
    ['a subscription of GraphQL', method(SetMetadata('graphql:resolver_type', 'Subscription'))],
    ['a cron job that is a route as well', method(marked('SCHEDULER_TYPE'), Get())],
  ])('is Nest, with guards and interceptors, for %s', (_what, fn) => {
    expect(handlerKind(fn)).toBe('handler');
  });

  it.each<readonly [string, Function]>([
    ['a field', method(marked('graphql:resolve_property'))],
    ['a field of a type with a name', method(SetMetadata('graphql:resolver_type', 'Patient'))],
    ['a reference of a federation', method(marked('graphql:resolve_reference'))],
  ])('is GraphQL, whose options decide, for %s', (_what, fn) => {
    expect(handlerKind(fn)).toBe('field');
  });

  it.each<readonly [string, Function]>([
    ['a method without decorators', method()],
    ['an event listener', method(marked('EVENT_LISTENER_METADATA'))],
    ['a cron job', method(marked('SCHEDULE_CRON_OPTIONS'))],
    ['a queue', method(marked('bull:queue_process'))],
    ['a queue with a decorator of the app', method(marked('bull:queue_process'), SetMetadata('roles', []))],
    ['types of TypeScript', method(marked('design:type'))],
    ['enhancers of Nest', method(UseGuards(NoGuard), marked('__guards__'))],
    ['documentation', method(marked('swagger/apiOperation'))],
    ["the library's own metadata", method(marked(Symbol.for('nestjs-medplum:acting')))],
  ])('is something without guards for %s', (_what, fn) => {
    expect(handlerKind(fn)).toBe('plain');
  });

  it.each<readonly [string, Function]>([
    ['another library', method(marked('nest-commander:command'))],
    ['a symbol without a name', method(marked(Symbol()))],
    ['a key that only contains a known one', method(marked('my graphql:type'))],
    ['a key that only contains that of a queue', method(marked('red bull'))],
    ['a key that only contains documentation', method(marked('no swagger/operation'))],
    ['a key with underscores before it alone', method(marked('__mine'))],
  ])('is not known for metadata of %s', (_what, fn) => {
    expect(handlerKind(fn)).toBe('unknown');
  });
});
