import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { AppModule } from '../../../sample-app/app.module';
import { ClinicBackend, type DemoLogin } from '../../../sample-app/backend/clinic.backend';
import { listen, setUpClinic } from '../../../sample-app/clinic.application';
import { clinicConfig } from '../../../sample-app/config/clinic.config';
import { readClinicSettings } from '../../../sample-app/config/clinic.settings';
import { ClinicBrowser } from '../../../sample-app/tour/clinic-browser';

type Environment = Readonly<Record<string, string>>;
type Override = (builder: TestingModuleBuilder) => TestingModuleBuilder;

/** A clinic that listens on a free port of the loopback address. */
export class OpenClinic {
  private constructor(
    readonly app: NestExpressApplication,
    readonly url: string,
  ) {}

  /**
   * @param environment stands in for `process.env`; loopback is added.
   * @param override replaces providers.
   */
  static async open(environment?: Environment, override?: Override): Promise<OpenClinic> {
    const app = await OpenClinic.make(environment, override);
    return new OpenClinic(app, await listen(app, 0));
  }

  /** Makes the app, but does not listen yet. */
  static async make(
    environment: Environment = {},
    override: Override = (builder) => builder,
  ): Promise<NestExpressApplication> {
    const settings = readClinicSettings({ HOST: '127.0.0.1', ...environment });
    const builder = Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(clinicConfig.KEY)
      .useValue(settings);
    const module = await override(builder).compile();
    const app = module.createNestApplication<NestExpressApplication>(new ExpressAdapter());
    app.useLogger(false);
    return setUpClinic(app);
  }

  browser(): ClinicBrowser {
    return new ClinicBrowser(this.url);
  }

  demoLogin(name: string): DemoLogin {
    const login = this.app.get(ClinicBackend).demoLogins.find((candidate) => candidate.name === name);
    if (!login) {
      throw new Error(`There is no demo login "${name}".`);
    }
    return login;
  }

  /** A browser that has used this demo login. */
  async visitor(name: string): Promise<ClinicBrowser> {
    const browser = this.browser();
    const { status } = await browser.login(name, this.demoLogin(name).password);
    if (status !== 200) {
      throw new Error(`The clinic refused the demo login "${name}" with ${status}.`);
    }
    return browser;
  }

  close(): Promise<void> {
    return this.app.close();
  }
}
