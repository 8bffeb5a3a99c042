import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  HttpException,
  HttpStatus,
  Post,
  Req,
  Res,
  UnauthorizedException,
} from '@nestjs/common';
import type { Response } from 'express';
import { WithoutMedplum } from 'nestjs-medplum';
import { AuthService } from './auth.service';
import type { ClinicUser } from './clinic-account';
import type { ClinicRequest } from './clinic-request';
import { CurrentUser } from './current-user.decorator';
import { LoginLimit } from './login-limit.service';
import { type Login, LoginPipe } from './login.pipe';
import { Public } from './public.decorator';
import { closeSession, openSession } from './session.cookie';

/** What the browser learns of the user who is logged in. The membership stays on the server: no browser needs it. */
export type LoggedIn = Pick<ClinicUser, 'name'>;

@Controller('auth')
@WithoutMedplum()
export class AuthController {
  constructor(
    private readonly auth: AuthService,
    private readonly limit: LoginLimit,
  ) {}

  /**
   * @throws UnauthorizedException with the same message for an unknown name and a wrong password.
   * @throws HttpException with 429 and `Retry-After`, in s, after too many failures. It says the same about unknown names.
   */
  @Public()
  @Post('login')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async login(
    @Body(LoginPipe) { name, password }: Login,
    @Req() request: ClinicRequest,
    @Res({ passthrough: true }) response: Response,
  ): Promise<LoggedIn> {
    const wait = this.limit.begin(name, request.ip);
    if (wait > 0) {
      response.setHeader('Retry-After', Math.ceil(wait / 1000));
      throw new HttpException('Too many attempts to log in. Wait, then try again.', HttpStatus.TOO_MANY_REQUESTS);
    }
    const user = await this.auth.verify(name, password);
    if (!user) {
      throw new UnauthorizedException('Wrong name or password.');
    }
    this.limit.succeeded(name, request.ip);
    openSession(request, user);
    return { name: user.name };
  }

  @Public()
  @Post('logout')
  @HttpCode(204)
  logout(@Req() request: ClinicRequest): void {
    closeSession(request);
  }

  @Get('me')
  @Header('Cache-Control', 'no-store')
  me(@CurrentUser() { name }: ClinicUser): LoggedIn {
    return { name };
  }
}
