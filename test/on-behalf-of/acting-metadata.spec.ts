import { MedplumConfigError } from 'nestjs-medplum';
import {
  type Acting,
  actingOf,
  actingOfHandler,
  actingOfMethod,
  carriesActing,
  defineClassActing,
  defineMethodActing,
} from '../../lib/on-behalf-of/acting-metadata';

const USER: Acting = { as: 'on-behalf-of', source: undefined };
const CLIENT: Acting = { as: 'client-application', reason: 'nightly' };

/** A class whose method `read` acts for the user, and another method without a decorator. */
function decorated() {
  class Charts {
    read(): string {
      return 'read';
    }

    other(): string {
      return 'other';
    }

    get size(): number {
      return 0;
    }
  }
  const { prototype } = Charts;
  // oxlint-disable-next-line typescript/unbound-method -- only its metadata matters
  defineMethodActing(prototype, 'read', prototype.read, 'default', USER);
  return Charts;
}

const methodOf = (type: Function, name: string) => (type.prototype as Record<string, () => unknown>)[name] as Function;

/** A function that does what another one does, as tracers make them. */
const wrapped = (name: string): Function => Object.defineProperty(() => 'wrapped', 'name', { value: name });

describe('How a handler acts is known', () => {
  it('from the method', () => {
    const Charts = decorated();
    expect(actingOfHandler(Charts, methodOf(Charts, 'read'))).toEqual({ default: USER });
    expect(actingOfHandler(Charts, methodOf(Charts, 'other'))).toEqual({});
  });

  it('from the name, if the method was wrapped or bound', () => {
    const Charts = decorated();
    expect(actingOfHandler(Charts, wrapped('read'))).toEqual({ default: USER });
    expect(actingOfHandler(Charts, methodOf(Charts, 'read').bind(undefined) as Function)).toEqual({ default: USER });
    expect(actingOfHandler(Charts, wrapped('other'))).toEqual({});
  });

  it('from the method rather than from the name of its function', () => {
    const Charts = decorated();
    const misleading = wrapped('read');
    Object.defineProperty(Charts.prototype, 'renamed', { value: misleading, configurable: true });
    expect(actingOfHandler(Charts, misleading)).toEqual({});
  });

  it('from metadata that was copied to a function of another name', () => {
    const Charts = decorated();
    const traced = wrapped('traced');
    for (const key of Reflect.getMetadataKeys(methodOf(Charts, 'read')) as unknown[]) {
      Reflect.defineMetadata(key, Reflect.getMetadata(key, methodOf(Charts, 'read')), traced);
    }
    expect(actingOfHandler(Charts, traced)).toEqual({ default: USER });
  });

  it('from the class as well, unless the handler says otherwise', () => {
    const Charts = decorated();
    defineClassActing(Charts, 'default', CLIENT);
    defineClassActing(Charts, 'lab', USER);
    expect(actingOfHandler(Charts, methodOf(Charts, 'read'))).toEqual({ default: USER, lab: USER });
    expect(actingOf(Charts.prototype, undefined)).toEqual({ default: CLIENT, lab: USER });
  });

  it('from a method that a mixin copied to another class', () => {
    class Mixed {
      declare read: () => string;
    }
    const Charts = decorated();
    Object.defineProperty(Mixed.prototype, 'read', { value: methodOf(Charts, 'read') });
    expect(actingOf(Mixed.prototype, 'read')).toEqual({ default: USER });
    expect(actingOfMethod(Mixed.prototype, 'read')).toEqual({ default: USER });
  });

  it('and is nothing for accessors and for names that the class has not', () => {
    const Charts = decorated();
    expect(actingOfMethod(Charts.prototype, 'size')).toEqual({});
    expect(actingOfMethod(Charts.prototype, 'none')).toEqual({});
    expect(actingOfMethod(Charts.prototype, 'toString')).toEqual({});
  });

  it('or the app does not start: an unknown function may stand for a decorated method', () => {
    expect(() => actingOfHandler(decorated(), wrapped('traced'))).toThrow(MedplumConfigError);
    expect(() => actingOfHandler(decorated(), wrapped('unbound read'))).toThrow(MedplumConfigError);
  });

  it('and is nothing for an unknown function of a class without decorated methods', () => {
    class Plain {
      read(): string {
        return 'read';
      }
    }
    expect(actingOfHandler(Plain, wrapped('traced'))).toEqual({});
  });
});

describe('A subclass', () => {
  class Base {
    read(): string {
      return 'base';
    }
  }
  class Sub extends Base {
    override read(): string {
      return 'sub';
    }
  }

  beforeAll(() => {
    // oxlint-disable-next-line typescript/unbound-method -- only its metadata matters
    defineMethodActing(Base.prototype, 'read', Base.prototype.read, 'default', CLIENT);
    // oxlint-disable-next-line typescript/unbound-method -- only its metadata matters
    defineMethodActing(Base.prototype, 'read', Base.prototype.read, 'lab', USER);
  });

  it('inherits acting for the user, but never the rights of the client', () => {
    expect(actingOf(Base.prototype, 'read')).toEqual({ default: CLIENT, lab: USER });
    expect(actingOf(Sub.prototype, 'read')).toEqual({ lab: USER });
    expect(actingOfMethod(Sub.prototype, 'read')).toEqual({});
  });

  it('runs a function that carries all its decorators, or Nest runs another one', () => {
    expect(carriesActing(Base.prototype, 'read', methodOf(Base, 'read'))).toBe(true);
    expect(carriesActing(Base.prototype, 'read', wrapped('read'))).toBe(false);
    expect(carriesActing(Sub.prototype, 'read', methodOf(Sub, 'read'))).toBe(true);
  });
});
