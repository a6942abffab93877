// Debian's Chromium, headless, with a tone for a microphone and the region's names mapped to the
// simulator.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { toneWav } from './wav.mjs';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** The microphone's tone: its frequency is no harmonic of what far ends say. */
export const MICROPHONE = { hz: 1_000, dbfs: -20 };

const FLAGS = [
  '--ignore-certificate-errors',
  '--disable-web-security',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--metrics-recording-only',
  '--no-pings',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
  // Timers and audio of a page nobody looks at run at full pace.
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
];

export class Browser {
  /**
   * Starts one; `cloud` is host and port of the simulator. With an environment of its own its microphone and its ear are
   * those that PulseAudio has there.
   */
  static async start(cloud, { env } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'offhook-chromium-'));
    const microphone = join(folder, 'microphone.wav');
    await writeFile(microphone, toneWav(MICROPHONE.hz, MICROPHONE.dbfs));
    const names = [
      `MAP *.mypurecloud.test ${cloud}`,
      `MAP mypurecloud.test ${cloud}`,
      'MAP * ~NOTFOUND',
      'EXCLUDE 127.0.0.1',
      'EXCLUDE localhost',
    ].join(', ');
    const fake = ['--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${microphone}`];
    const browser = await chromium.launch({
      executablePath: EXECUTABLE,
      headless: true,
      args: [...FLAGS, `--host-resolver-rules=${names}`, ...(env ? [] : fake)],
      ...(env && { env, ignoreDefaultArgs: ['--mute-audio'] }),
    });
    const server = await serve();
    return Object.assign(new Browser(), { browser, server, folder });
  }

  /** Opens one of this folder's pages, or a full address. `log` receives what it says. */
  async open(address, log = []) {
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true });
    await context.grantPermissions(['microphone']);
    const page = await context.newPage();
    page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => log.push(`error: ${error.stack}`));
    const { port } = this.server.address();
    await page.goto(new URL(address, `http://127.0.0.1:${port}/`).href);
    return page;
  }

  async stop() {
    await this.browser.close();
    this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

const PAGES = fileURLToPath(new URL('../page/', import.meta.url));
const MODULES = fileURLToPath(new URL('../node_modules/', import.meta.url));

/** What the pages need, by path. */
const FILES = {
  '/sdk.js': `${MODULES}genesys-cloud-webrtc-sdk/dist/genesys-cloud-webrtc-sdk.bundle.min.js`,
  '/platform.js': `${MODULES}purecloud-platform-client-v2/dist/web-cjs/purecloud-platform-client-v2.min.js`,
  '/sdk.html': `${PAGES}sdk.html`,
  '/phone.js': `${PAGES}phone.js`,
  '/ear.js': `${PAGES}ear.js`,
  '/platform.html': `${PAGES}platform.html`,
};

const TYPES = { '.js': 'text/javascript', '.html': 'text/html; charset=utf-8' };

async function serve() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = FILES[pathname];
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(file)] });
    response.end(await readFile(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
