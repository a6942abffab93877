// Our phone as a process, on its virtual board, driven over its local API.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child, program } from './process.mjs';
import { until, within } from './wait.mjs';
import { toneWav } from './wav.mjs';

/** What the phone's handset says: the tone in its capture file. */
const CAPTURE = { hz: 750, dbfs: -20 };

export class Offhook {
  /**
   * Starts the phone of one of the simulator's users, and waits until it is ready for calls. Its sound goes to and from
   * files, or else where `audio` says; `jitterHeadroom` is in ms; `board` is a board file of its own.
   */
  static async start(simulator, user, { audio, jitterHeadroom, env, board } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'offhook-phone-'));
    const state = join(folder, 'state');
    await mkdir(state);
    const capture = join(folder, 'capture.wav');
    const playback = join(folder, 'playback.wav');
    await writeFile(capture, toneWav(CAPTURE.hz, CAPTURE.dbfs));
    const listen = `127.0.0.1:${await freePort()}`;
    const config = join(folder, 'offhook.toml');
    const toml = {
      cloud: {
        environment: simulator.restUrl,
        streaming: simulator.streamingUrl,
        ca_file: simulator.caFile,
        token_file: user.tokenFile,
      },
      board: { name: board ?? 'desktop' },
      audio: {
        ...(audio ?? { capture: `wav:${capture}`, playback: `wav:${playback}` }),
        jitter_headroom_ms: jitterHeadroom ?? 0,
      },
      api: { listen },
      state: { dir: state },
    };
    const text = Object.entries(toml).map(([section, keys]) =>
      [`[${section}]`, ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)].join('\n'),
    );
    await writeFile(config, `${text.join('\n')}\n`);
    const child = new Child(program('offhook', 'OFFHOOK'), ['run', '--config', config], {
      RUST_LOG: process.env.RUST_LOG ?? 'info',
      ...env,
    });
    const phone = Object.assign(new Offhook(), {
      child, folder, user, capture: CAPTURE, playback, api: `http://${listen}/api/v1`,
    });
    const early = child.ended.then((how) => {
      throw new Error(`the phone ended: ${JSON.stringify(how)}\n${child.errors}`);
    });
    await within('the phone is ready', Promise.race([phone.ready(), early]));
    early.catch(() => {}); // from here on its end is no surprise
    return phone;
  }

  async ask(method, path, body) {
    const response = await fetch(`${this.api}${path}`, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}\n${this.child.errors}`);
    return text ? JSON.parse(text) : null;
  }

  ready() {
    return until('the phone is ready', async () => {
      try {
        return (await this.ask('GET', '/status')).ready;
      } catch {
        return false; // it does not listen yet
      }
    });
  }

  /** Waits until it shows, or does not show, a call as wanted: `fits` gets it, or nothing. */
  shows(id, what, fits) {
    let calls;
    return until(`the phone shows ${what}`, async () => {
      calls = await this.ask('GET', '/calls');
      return fits(calls.find((call) => call.conversationId === id));
    }).catch((error) => {
      throw new Error(`${error.message}\n${JSON.stringify(calls)}`);
    });
  }

  /** Waits until it rings for a call. */
  ringing(id) {
    return until('the phone rings', async () => {
      const calls = await this.ask('GET', '/calls');
      return calls.some((call) => call.conversationId === id && call.state === 'alerting');
    });
  }

  hook(state) {
    return this.ask('POST', '/board/hook', { state });
  }

  async stop() {
    await this.child.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A port nobody listens on now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
