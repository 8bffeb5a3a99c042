import { Module } from '@nestjs/common';
import { RecentCalls } from './recent-calls.service';

@Module({ providers: [RecentCalls], exports: [RecentCalls] })
export class AuditModule {}
