// @medplum/core (the embedded Medplum's engine) reads the global WebSocket when it loads; Node 20 has none.
globalThis.WebSocket ??= require('undici').WebSocket;
