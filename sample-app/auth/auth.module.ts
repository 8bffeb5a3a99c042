import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { BackendModule } from '../backend/backend.module';
import { AuthController } from './auth.controller';
import { AuthService } from './auth.service';
import { CrossSiteGuard } from './cross-site.guard';
import { LoginLimit } from './login-limit.service';
import { SessionGuard } from './session.guard';

/** Logins, sessions, and the guards in front of every handler, in this order. */
@Module({
  imports: [BackendModule],
  controllers: [AuthController],
  providers: [
    AuthService,
    LoginLimit,
    { provide: APP_GUARD, useClass: CrossSiteGuard },
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
})
export class AuthModule {}
