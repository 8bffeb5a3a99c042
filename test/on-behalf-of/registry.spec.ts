import type { ModuleRef } from '@nestjs/core';
import { MedplumConfigError } from 'nestjs-medplum';
import { findProvider } from '../../lib/on-behalf-of/find-provider';
import {
  DEFAULT_CLIENT,
  OnBehalfOfRegistry,
  type RegisteredClient,
} from '../../lib/on-behalf-of/on-behalf-of.registry';

const client = (name: string) => ({ name }) as RegisteredClient;

function registryOf(...names: readonly string[]): OnBehalfOfRegistry {
  const registry = new OnBehalfOfRegistry();
  names.forEach((name) => registry.register(client(name)));
  return registry;
}

describe('The clients of an app', () => {
  it('are found by their names', () => {
    const registry = registryOf(DEFAULT_CLIENT, 'lab');
    expect(registry.get(DEFAULT_CLIENT).name).toBe(DEFAULT_CLIENT);
    expect(registry.get('lab').name).toBe('lab');
  });

  it('have different names, and only one has none', () => {
    const registry = registryOf(DEFAULT_CLIENT, 'lab');
    expect(() => registry.register(client(DEFAULT_CLIENT))).toThrow(/two Medplum clients without a name/);
    expect(() => registry.register(client('lab'))).toThrow(/two Medplum clients with the name "lab"/);
    expect(() => registry.register(client('lab'))).toThrow(MedplumConfigError);
  });

  it('are listed when one is missing', () => {
    const registry = registryOf('lab', 'archive');
    expect(() => registry.get(DEFAULT_CLIENT)).toThrow(/client without a name \(known: lab, archive\)/);
    expect(() => registry.get('labb')).toThrow(/client with the name "labb" \(known: lab, archive\)/);
    expect(() => registryOf().get('lab')).toThrow(/known: none/);
    expect(() => registry.get('labb')).toThrow(MedplumConfigError);
  });
});

describe('A provider of the module', () => {
  it('is looked up in the whole app', () => {
    const get = jest.fn(() => 'found');
    expect(findProvider({ get } as unknown as ModuleRef, OnBehalfOfRegistry)).toBe('found');
    expect(get).toHaveBeenCalledWith(OnBehalfOfRegistry, { strict: false });
  });

  it('that is missing means that the module is not imported', () => {
    const get = jest.fn(() => {
      throw new Error('Nest could not find it');
    });
    expect(() => findProvider({ get } as unknown as ModuleRef, OnBehalfOfRegistry)).toThrow(MedplumConfigError);
  });
});
