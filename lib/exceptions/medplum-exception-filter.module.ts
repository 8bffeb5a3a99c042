import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { MedplumExceptionFilter } from './medplum-exception.filter';

/** @internal A separate module, because Nest must know at start-up whether to import it. */
@Module({ providers: [{ provide: APP_FILTER, useClass: MedplumExceptionFilter }] })
export class MedplumExceptionFilterModule {}
