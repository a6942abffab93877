// What is missed of a call when its path changes, and when its handset is plugged in only during the call: the phone with
// devices of a PulseAudio of this command's own, in real time. Fails if a change of the path takes longer than 50 ms.
//
//   npm run paths
//
// To be run on a machine that does nothing else, or before all others: nice -n -15 npm run paths (as root).

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Offhook } from './rig/offhook.mjs';
import { RATE, Room } from './rig/room.mjs';
import { Simulator } from './rig/simulator.mjs';

const CHANGES = 10;
/** The most that may be missed, ms. */
const ALLOWED = 50;
/** The far end says a tone of -12 dBFS, of which a volume of 60 to 70 % leaves 0.06: quieter than one is silence, louder than the other is the tone. */
const SILENCE = 0.02;
const HEARD = 0.04;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Silent milliseconds in all places at once that last longer than 3 ms, between the first and the last sound. */
function gaps(channels) {
  const window = RATE / 1_000;
  const found = [];
  let silent = -Infinity;
  for (let at = 0; at + window <= channels[0].length; at += window) {
    const loud = channels.some((one) => one.subarray(at, at + window).some((sample) => Math.abs(sample) > SILENCE));
    if (loud && silent > 3) found.push(silent);
    silent = loud ? 0 : silent + 1;
  }
  return found;
}

/** The loudest sample at a place. */
const peak = (channel) => channel.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);

const simulator = await Simulator.start(['--no-metadata', '--user', 'Phone']);
const room = await Room.start(['handset', 'speaker', 'rest']);
await room.name(['handset', 'speaker', 'usb']);
const [user] = simulator.users;
const leg = { codecs: ['opus'], farEnd: 'tone:440,-12' };

/** A call on a board whose paths play to these devices. */
async function call(handset, speaker, what) {
  const desktop = await readFile(new URL('../../board/boards/desktop.toml', import.meta.url), 'utf8');
  const ears = [handset, speaker, handset];
  const board = join(room.folder, 'board.toml');
  await writeFile(board, desktop.replace(/^playback = "discard"/gm, () => `playback = "alsa:${ears.shift()}"`));
  const phone = await Offhook.start(simulator, user, { audio: {}, board, env: room.env });
  try {
    const id = await simulator.callUser({ to: user.userId, leg });
    await phone.ringing(id);
    await phone.hook('lifted');
    await wait(2_000);
    await what(phone);
    await phone.hook('resting');
    await simulator.untilOver(id);
  } finally {
    await phone.stop();
  }
}

try {
  room.record();
  await call('handset', 'speaker', async (phone) => {
    room.forget();
    for (let n = 0; n < CHANGES; n++) {
      await wait(1_000);
      await phone.ask('PATCH', '/audio', { path: n % 2 ? 'handset' : 'speaker' });
    }
    await wait(1_000);
    const channels = room.channels();
    const missed = gaps(channels);
    const heard = channels.slice(0, 2).map((one) => peak(one) > HEARD);
    console.log(`${CHANGES} changes of the path: ${missed.length} gaps longer than 3 ms: ${missed.join(', ')}`);
    if (!heard.every(Boolean) || missed.some((gap) => gap > ALLOWED)) process.exitCode = 1;
  });

  await call('usb', 'usb', async (phone) => {
    const place = 'channels=1 channel_map=mono master_channel_map=front-left remix=no';
    const before = await phone.ask('GET', '/status');
    await room.control('load-module', 'module-remap-sink', 'sink_name=usb', 'master=room', ...place.split(' '));
    room.forget();
    const since = performance.now();
    const patience = 10_000;
    while (peak(room.channels()[0]) < HEARD && performance.now() - since < patience) await wait(50);
    const took = performance.now() - since;
    console.log(`without a handset the phone shows ${JSON.stringify(before.notice)}; plugged in during the call, it is `
      + (took < patience ? `heard after ${(took / 1_000).toFixed(1)} s` : 'not heard'));
    if (took >= patience) process.exitCode = 1;
  });
} finally {
  await room.stop();
  await simulator.stop();
}
