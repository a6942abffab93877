// A PulseAudio of the test's own, with one sink that all sounds go through: so they have one clock, and one recording has
// them all, each in a channel of its own.

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { within } from './wait.mjs';

const run = promisify(execFile);
export const RATE = 48_000;
const CHANNELS = ['front-left', 'front-right', 'rear-left', 'rear-right'];

export class Room {
  /**
   * Starts one with up to four places. What is played to a place can be captured `from_` it; both are PulseAudio's and
   * ALSA's names.
   */
  static async start(places) {
    const folder = await mkdtemp(join(tmpdir(), 'offhook-room-'));
    const socket = join(folder, 'native');
    const one = (n) => `channels=1 channel_map=mono master_channel_map=${CHANNELS[n]} remix=no`;
    const modules = [
      `module-native-protocol-unix auth-anonymous=1 socket=${socket}`,
      `module-null-sink sink_name=room rate=${RATE} format=s16le channels=4 channel_map=${CHANNELS}`,
      ...places.map((name, n) => `module-remap-sink sink_name=${name} master=room ${one(n)}`),
      ...places.map((name, n) => `module-remap-source source_name=from_${name} master=room.monitor ${one(n)}`),
    ];
    const alsa = join(folder, 'asound.conf');
    const env = {
      ...process.env,
      PULSE_SERVER: `unix:${socket}`,
      PULSE_RUNTIME_PATH: folder,
      XDG_RUNTIME_DIR: folder,
      ALSA_CONFIG_PATH: alsa,
    };
    const room = Object.assign(new Room(), { folder, env, alsa, places, pieces: [] });
    await room.name([...places, ...places.map((name) => `from_${name}`)]);
    const args = ['-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no', '--high-priority=yes', '--realtime=yes'];
    room.server = spawn('pulseaudio', [...args, ...modules.flatMap((module) => ['-L', module])], { env, stdio: 'ignore' });
    const failed = new Promise((_, reject) => {
      room.server.once('error', () => reject(new Error('apt-get install pulseaudio pulseaudio-utils libasound2-plugins')));
    });
    const up = async () => {
      for (;;) {
        const sources = await room.control('list', 'short', 'sources').catch(() => '');
        if (sources.includes(`from_${places.at(-1)}`)) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await within('PulseAudio is up', Promise.race([up(), failed]));
    return room;
  }

  /** Lets ALSA know these devices of PulseAudio's, whether they are there or not. */
  name(devices) {
    const lines = devices.map((name) => `pcm.${name} { type pulse device ${name} }`);
    return writeFile(this.alsa, ['</usr/share/alsa/alsa.conf>', ...lines, ''].join('\n'));
  }

  /** Asks pactl. */
  async control(...args) {
    return (await run('pactl', args, { env: this.env })).stdout.trim();
  }

  /** Records all places, from now on. */
  record() {
    this.recorder = spawn('parec', ['-d', 'room.monitor', '--raw', '--format=s16le', `--rate=${RATE}`, '--channels=4',
      `--channel-map=${CHANNELS}`, '--latency-msec=10'], { env: this.env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.recorder.stdout.on('data', (piece) => this.pieces.push(piece));
  }

  /** What was recorded until now is not wanted. */
  forget() {
    this.pieces = [];
  }

  /** Plays mono samples at a place; resolves when they are played. */
  async say(place, samples) {
    const file = join(this.folder, 'said.raw');
    await writeFile(file, Buffer.from(samples.buffer));
    await run('pacat', ['--playback', '-d', place, '--raw', '--format=s16le', `--rate=${RATE}`, '--channels=1',
      '--latency-msec=20', file], { env: this.env });
  }

  /** What was recorded, for each place; full scale is 1. */
  channels() {
    const all = Buffer.concat(this.pieces);
    const frames = Math.floor(all.length / 8);
    return this.places.map((_, channel) =>
      Float32Array.from({ length: frames }, (_, n) => all.readInt16LE(8 * n + 2 * channel) / 32_768));
  }

  async stop() {
    this.recorder?.kill();
    this.server.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
