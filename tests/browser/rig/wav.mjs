// WAV files for Chromium's fake microphone.

const RATE = 48_000;

/** A mono 16-bit WAV file of a whole number of periods, so that a loop has no click. */
export function toneWav(hz, dbfs, seconds = 1) {
  const periods = Math.round(hz * seconds);
  const samples = Math.round((periods * RATE) / hz);
  const amplitude = 32_767 * 10 ** (dbfs / 20);
  const file = Buffer.alloc(44 + 2 * samples);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + 2 * samples, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16); // length of the format chunk
  file.writeUInt16LE(1, 20); // PCM
  file.writeUInt16LE(1, 22); // channels
  file.writeUInt32LE(RATE, 24);
  file.writeUInt32LE(2 * RATE, 28); // bytes per second
  file.writeUInt16LE(2, 32); // bytes per frame
  file.writeUInt16LE(16, 34); // bits per sample
  file.write('data', 36);
  file.writeUInt32LE(2 * samples, 40);
  for (let n = 0; n < samples; n++) {
    const sample = amplitude * Math.sin((2 * Math.PI * periods * n) / samples);
    file.writeInt16LE(Math.round(sample), 44 + 2 * n);
  }
  return file;
}
