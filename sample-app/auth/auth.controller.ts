import { Body, Controller, Get, Header, HttpCode, Post, Req, UnauthorizedException } from '@nestjs/common';
import { AuthService } from './auth.service';
import type { ClinicUser } from './clinic-account';
import type { ClinicRequest } from './clinic-request';
import { CurrentUser } from './current-user.decorator';
import { type Login, LoginPipe } from './login.pipe';
import { Public } from './public.decorator';
import { closeSession, openSession } from './session.cookie';

/** What the browser learns of the user who is logged in. The membership stays on the server: no browser needs it. */
export type LoggedIn = Pick<ClinicUser, 'name'>;

@Controller('auth')
export class AuthController {
  constructor(private readonly auth: AuthService) {}

  /** @throws UnauthorizedException with the same message for an unknown name and a wrong password. */
  @Public()
  @Post('login')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async login(@Body(LoginPipe) login: Login, @Req() request: ClinicRequest): Promise<LoggedIn> {
    const user = await this.auth.verify(login.name, login.password);
    if (!user) {
      throw new UnauthorizedException('Wrong name or password.');
    }
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
