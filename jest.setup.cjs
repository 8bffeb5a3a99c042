// @medplum/core, which the embedded Medplum runs on, reads the global WebSocket when it loads. Node 20 has none.
globalThis.WebSocket ??= require('undici').WebSocket;
