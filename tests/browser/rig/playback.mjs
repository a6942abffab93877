// What our phone plays: the WAV file it writes in real time.

import { readFile, stat } from 'node:fs/promises';

const HEADER = 44;
const RATE = 48_000;
/** Length of a window a tone is looked for in, samples (10 ms). */
const WINDOW = 480;

export class Playback {
  /** Watches a file, to learn when its first sample was played. */
  constructor(file) {
    this.file = file;
    /** When sample 0 was played, ms since the epoch: each look can only show that it was earlier. */
    this.zero = Infinity;
    this.timer = setInterval(() => this.look(), 5);
  }

  async look() {
    const { size } = await stat(this.file).catch(() => ({ size: 0 }));
    const played = ((size - HEADER) / 2 / RATE) * 1_000;
    if (played > 0) this.zero = Math.min(this.zero, Date.now() - played);
  }

  /** When a tone above -40 dBFS was first played after a moment; undefined: not yet. */
  async heardAt(hz, since) {
    const file = await readFile(this.file);
    const sample = (n) => file.readInt16LE(HEADER + 2 * n) / 32_768;
    const count = Math.floor((file.length - HEADER) / 2);
    const from = Math.max(0, Math.floor(((since - this.zero) / 1_000) * RATE));
    for (let start = from; start + WINDOW <= count; start += WINDOW) {
      let [re, im] = [0, 0];
      for (let n = 0; n < WINDOW; n++) {
        const phase = (2 * Math.PI * hz * n) / RATE;
        re += sample(start + n) * Math.cos(phase);
        im += sample(start + n) * Math.sin(phase);
      }
      if ((2 * Math.hypot(re, im)) / WINDOW > 0.01) return this.zero + (start / RATE) * 1_000;
    }
    return undefined;
  }

  stop() {
    clearInterval(this.timer);
  }
}
