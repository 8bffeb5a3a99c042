import 'reflect-metadata';
import { createClinic, listen } from './clinic.application';
import { ClinicSettingsError } from './config/clinic.settings';
import { TourFailedError, TourStory } from './tour/tour.story';

/** Starts a clinic on a free port, plays the tour and closes everything. */
async function main(): Promise<void> {
  const app = await createClinic({ logger: false });
  const url = await listen(app, 0);
  try {
    const story = new TourStory(app, url, console.log);
    console.log(`A clinic with two organisations runs at ${url}, on an embedded Medplum.`);
    await story.play();
    console.log('\nThe tour is over. All of its claims were checked.');
  } finally {
    await app.close();
  }
}

main().catch((error: unknown) => {
  const expected = error instanceof TourFailedError || error instanceof ClinicSettingsError;
  console.error(expected ? `\n${error.message}` : error);
  process.exitCode = 1;
});
