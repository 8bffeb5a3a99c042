import { Global, Module } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { MedplumAudit } from '../audit/medplum-audit';
import { CallTracing } from '../http/call-tracing';
import { MedplumRouteReport } from '../on-behalf-of/medplum-route-report';
import { OnBehalfOfExplorer } from '../on-behalf-of/on-behalf-of.explorer';
import { OnBehalfOfInvocations } from '../on-behalf-of/on-behalf-of.invocations';
import { OnBehalfOfRegistry } from '../on-behalf-of/on-behalf-of.registry';
import { RequestListeners } from './request-listeners';

/** @internal What exists once per app, however many clients it has. Each `forRoot()` imports it. */
@Global()
@Module({
  providers: [
    MedplumAudit,
    CallTracing,
    RequestListeners,
    OnBehalfOfRegistry,
    MedplumRouteReport,
    OnBehalfOfExplorer,
    {
      provide: OnBehalfOfInvocations,
      inject: [OnBehalfOfRegistry, ModulesContainer],
      useFactory: (registry: OnBehalfOfRegistry, modules: ModulesContainer) =>
        new OnBehalfOfInvocations(registry, modules),
    },
  ],
  exports: [MedplumAudit, MedplumRouteReport, CallTracing, OnBehalfOfRegistry],
})
export class MedplumCoreModule {}
