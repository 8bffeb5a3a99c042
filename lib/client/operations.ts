import type {
  Bundle,
  OperationOutcome,
  Parameters,
  Project,
  Reference,
  Resource,
  ResourceType,
  ValueSet,
} from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { operation, OPERATION, type OperationCall } from '../fhir/operations';
import type { OperationInput } from '../fhir/parameters';
import { everything, type EverythingInput, setAccounts } from '../fhir/patient-operations';
import { cloneProject, type CloneProjectInput } from '../fhir/project-clone';
import type { WithId } from '../fhir/resource.types';
import {
  checkOneConcept,
  type ExpandInput,
  type LookupInput,
  terminologyOperation,
  type TranslateInput,
  type ValidateCodeInput,
} from '../fhir/terminology';
import type { MedplumRequestOptions } from '../calls/request.options';
import type { ClientCalls } from '../calls/call';

/** FHIR operations: `medplum.operations`. */
export class MedplumOperations {
  readonly #calls: ClientCalls;

  /** @internal */
  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /**
   * Calls any operation. A JSON response is parsed, any other is text, and an empty one is `undefined`. `T` and `I` are the
   * types of output and input; `ParametersOf` describes a Parameters resource.
   *
   * @example
   * ```ts
   * medplum.operations.execute<string>({ operation: '$ccda-export', resourceType: 'Patient', id });
   * ```
   */
  execute<T = unknown, I extends object = OperationInput | Parameters>(
    call: OperationCall<I>,
    options: MedplumRequestOptions = {},
  ): Promise<T> {
    return this.#calls.body(OPERATION, () => operation(call), options);
  }

  /**
   * Asks the server whether a resource is valid, without storing it.
   *
   * @returns the OperationOutcome of a valid resource, with its warnings.
   * @throws MedplumBadRequestError for an invalid resource. `error.outcome` says what is wrong.
   */
  validateResource(resource: Resource, options: MedplumRequestOptions = {}): Promise<OperationOutcome> {
    const call = () => ({
      operation: 'validate',
      resourceType: resource?.resourceType ?? '',
      resource,
      readOnly: true,
    });
    return this.#execute(call, options);
  }

  /** Reads a patient and everything in the patient's compartment that the identity may see (one page). */
  everything(id: string, input: EverythingInput = {}, options: MedplumRequestOptions = {}): Promise<Bundle> {
    return this.#execute(() => everything(id, input), options);
  }

  /** Expands a value set into its concepts. */
  expand(input: ExpandInput, options: MedplumRequestOptions = {}): Promise<ValueSet> {
    return this.#execute(() => terminologyOperation('ValueSet', '$expand', input), options);
  }

  /** Looks up what a code system says about a concept. */
  lookup(input: LookupInput, options: MedplumRequestOptions = {}): Promise<Parameters> {
    const call = () => {
      checkOneConcept(input, true);
      return terminologyOperation('CodeSystem', '$lookup', input);
    };
    return this.#execute(call, options);
  }

  /** Checks whether a concept is in a value set: see the parameter `result`. */
  validateCode(input: ValidateCodeInput, options: MedplumRequestOptions = {}): Promise<Parameters> {
    return this.#validateCode('ValueSet', input, options);
  }

  /** Checks whether a concept is in a code system: see the parameter `result`. */
  validateSystemCode(input: ValidateCodeInput, options: MedplumRequestOptions = {}): Promise<Parameters> {
    return this.#validateCode('CodeSystem', input, options);
  }

  /** Translates a concept into another code system with a concept map. */
  translate(input: TranslateInput, options: MedplumRequestOptions = {}): Promise<Parameters> {
    const call = () => {
      checkOneConcept(input, true);
      return terminologyOperation('ConceptMap', '$translate', input);
    };
    return this.#execute(call, options);
  }

  /**
   * Sets the accounts of a resource, which decide who may see it. Only admins may do this.
   *
   * @param input.propagate sets them on everything in the compartment of the resource, too. Default `false`.
   */
  setAccounts(
    resourceType: ResourceType,
    id: string,
    input: { readonly accounts: readonly Reference[]; readonly propagate?: boolean },
    options: MedplumRequestOptions = {},
  ): Promise<Parameters> {
    return this.#execute(() => setAccounts(resourceType, id, input), options);
  }

  /**
   * Copies a project with its resources (`Project/[id]/$clone`, the only clone that Medplum has). Only super admins may do
   * this, so only the client of a server's Super Admin project can; a project admin gets `MedplumForbiddenError`.
   *
   * @returns the new project.
   */
  cloneProject(
    id: string,
    input: CloneProjectInput = {},
    options: MedplumRequestOptions = {},
  ): Promise<WithId<Project>> {
    return this.#calls.body(OPERATION, () => cloneProject(id, input), options);
  }

  /**
   * Removes a resource and its history for good. Only admins may do this.
   *
   * @param options.everything removes everything in the compartment of the resource, too. Default `false`.
   */
  async expunge(
    resourceType: ResourceType,
    id: string,
    options: MedplumRequestOptions & { readonly everything?: boolean } = {},
  ): Promise<void> {
    const describe = () => {
      const request = operation({ operation: 'expunge', resourceType, id });
      return options.everything === true ? { ...request, query: 'everything=true' } : request;
    };
    await this.#calls.body(OPERATION, describe, options, { further: ['everything'] });
  }

  #validateCode(
    type: 'ValueSet' | 'CodeSystem',
    input: ValidateCodeInput,
    options: MedplumRequestOptions,
  ): Promise<Parameters> {
    const call = () => {
      checkOneConcept(input, false);
      return terminologyOperation(type, '$validate-code', input);
    };
    return this.#execute(call, options);
  }

  /** Calls an operation that always returns something. */
  #execute<T>(call: () => OperationCall<object>, options: MedplumRequestOptions): Promise<T> {
    return this.#calls.body(OPERATION, () => ({ ...operation(call()), expects: 'body' }), options);
  }
}
