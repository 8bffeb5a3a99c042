import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { BackendModule } from '../backend/backend.module';
import { AuthController } from './auth.controller';
import { AuthService } from './auth.service';
import { SessionGuard } from './session.guard';

/** Logins, sessions, and the guard in front of every handler. */
@Module({
  imports: [BackendModule],
  controllers: [AuthController],
  providers: [AuthService, { provide: APP_GUARD, useClass: SessionGuard }],
})
export class AuthModule {}
