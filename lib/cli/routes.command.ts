import { MedplumRouteReport } from '../on-behalf-of/medplum-route-report';
import type { CliCommand } from './cli-command';
import { openApp } from './routes/open-app';
import { jsonRoutes, routeTable } from './routes/route-table';
import { readFlags, USAGE } from './routes/routes-flags';

/** `nestjs-medplum routes`: lists the handlers of an app, and how each gets its identity. */
export const routesCommand: CliCommand = {
  async run(args) {
    const flags = readFlags(args);
    if (flags.help) {
      process.stdout.write(USAGE);
      return;
    }
    const app = await openApp(flags);
    try {
      const report = new MedplumRouteReport(app.modules);
      process.stdout.write(flags.json ? jsonRoutes(report.routes) : routeTable(report.routes));
      process.exitCode = flags.enforce && report.undecided.length > 0 ? 1 : 0;
    } finally {
      await app.close();
    }
  },
};
