import { MedplumConfigError } from '../errors/medplum-config.error';

/**
 * A decorator for classes and for methods of their instances.
 *
 * @param decorator its name, for the error.
 * @throws MedplumConfigError (from the decorator) on anything else, such as a getter or a static method.
 */
export function handlerDecorator(
  decorator: string,
  onClass: (type: Function) => void,
  onMethod: (prototype: object, name: string | symbol, method: Function) => void,
): ClassDecorator & MethodDecorator {
  return (target: object, name?: string | symbol, descriptor?: Pick<PropertyDescriptor, 'value'>): void => {
    const method: unknown = descriptor?.value;
    if (name === undefined) {
      onClass(target as Function);
    } else if (typeof target === 'function' || typeof method !== 'function') {
      throw new MedplumConfigError(
        `@${decorator}() is on ${String(name)}, which is not a method of an instance. Put it on a class, or on a method that is not static.`,
      );
    } else {
      onMethod(target, name, method);
    }
  };
}
