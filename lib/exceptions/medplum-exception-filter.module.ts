import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { MedplumExceptionFilter } from './medplum-exception.filter';

/** @internal A module of its own, because whether it is imported must be known while the app is put together. */
@Module({ providers: [{ provide: APP_FILTER, useClass: MedplumExceptionFilter }] })
export class MedplumExceptionFilterModule {}
