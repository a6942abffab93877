// How long sound takes from the microphone over the wire and back to the ear: the phone and Genesys's SDK in Chromium, in
// real time, at one PulseAudio of this command's own, in one run.
//
//   npm run delay
//
// Both are in a call with a far end that says what it hears. A chirp a second is played to both microphones, and what
// both ears play is recorded beside it, in one recording: its channels are the microphone, the phone's ear and Chromium's.
// The way there and back holds the far end's own delay, which is one and the same chance for both.
//
// To be run on a machine that does nothing else, or before all others: nice -n -15 npm run delay (as root).

import { Browser } from './rig/chromium.mjs';
import { Offhook } from './rig/offhook.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { RATE, Room } from './rig/room.mjs';
import { Simulator } from './rig/simulator.mjs';

/** The far end keeps 0 to 60 ms of what it hears, by the chance of a call's first packets: only the mean of many tells. */
const CALLS = 10;
/** Of each, s. Not judged: jitter buffers and sound devices settle. */
const LEARNS = 4;
const JUDGED = 8;
/** The microphone of both, and their ears. */
const PLACES = ['mouth', 'phone', 'chromium'];

/** 40 ms from 500 to 3000 Hz, fading in and out: nothing else correlates with it. */
function chirp() {
  const length = 0.04 * RATE;
  return Float32Array.from({ length }, (_, n) => {
    const t = n / RATE;
    return 0.4 * Math.sin(Math.PI * n / length) * Math.sin(2 * Math.PI * (500 * t + (2500 / 0.04) * t * t / 2));
  });
}

/** Where in `sound`, from `from` to `to`, the chirp fits best, and how well (0 to 1). */
function find(sound, from, to) {
  const wanted = chirp();
  const power = wanted.reduce((sum, x) => sum + x * x, 0);
  let best = { at: from, fit: 0 };
  const fits = (at) => {
    let [cross, own] = [0, 1e-9];
    for (let n = 0; n < wanted.length; n++) {
      cross += wanted[n] * sound[at + n];
      own += sound[at + n] ** 2;
    }
    return own < 0.01 ? 0 : cross / Math.sqrt(power * own);
  };
  for (let at = from; at < Math.min(to, sound.length - wanted.length); at += 4) {
    const fit = fits(at);
    if (fit > best.fit) best = { at, fit };
  }
  return best;
}

/** ms from each chirp at the microphone to the same in an ear. */
function delays(microphone, ear) {
  const found = [];
  for (let second = LEARNS; second < LEARNS + JUDGED; second++) {
    const said = find(microphone, second * RATE, (second + 1) * RATE);
    if (said.fit < 0.8) continue;
    const heard = find(ear, said.at, said.at + 0.9 * RATE);
    if (heard.fit > 0.6) found.push(((heard.at - said.at) / RATE) * 1_000);
  }
  return found.sort((a, b) => a - b);
}

const middle = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)];

/** A call each at the same time: the delays of the phone, and those of Chromium. */
async function callAndMeasure() {
  const leg = { codecs: ['opus'], farEnd: 'echo' };
  const [theirs, own] = await Promise.all([first, second].map(({ userId: to }) => simulator.callUser({ to, leg })));
  await Promise.all([sdk.event('pendingSession', { conversationId: theirs }), phone.ringing(own)]);
  await Promise.all([sdk.call('acceptPendingSession', { conversationId: theirs }), phone.hook('lifted')]);
  await sdk.event('sessionStarted', { conversationId: theirs });
  const seconds = LEARNS + JUDGED + 1;
  const said = new Int16Array(seconds * RATE);
  for (let second = 0; second < seconds; second++) {
    // A little off the beat, so that every phase of the packets is met.
    const start = Math.floor((second + 0.1 + 0.0137 * (second % 10)) * RATE);
    chirp().forEach((sample, n) => { said[start + n] = sample * 32_767; });
  }
  room.forget();
  await room.say('mouth', said);
  const [microphone, ...ears] = room.channels();
  await phone.hook('resting');
  await sdk.ends(theirs);
  await Promise.all([theirs, own].map((id) => simulator.untilOver(id)));
  return ears.map((ear) => delays(microphone, ear));
}

const simulator = await Simulator.start(['--no-metadata', '--user', 'SDK', '--user', 'Phone']);
const room = await Room.start(PLACES);
const browser = await Browser.start(simulator.address, {
  env: { ...room.env, PULSE_SINK: 'chromium', PULSE_SOURCE: 'from_mouth' },
});
const [first, second] = simulator.users;
let sdk;
let phone;
try {
  room.record();
  sdk = await SdkPhone.start(browser, first);
  phone = await Offhook.start(simulator, second, {
    audio: { capture: 'alsa:from_mouth', playback: 'alsa:phone' },
    env: room.env,
  });
  const heard = [[], []];
  for (let call = 1; call <= CALLS; call++) {
    const found = await callAndMeasure();
    found.forEach((delays, n) => heard[n].push(...delays));
    const medians = found.map((delays) => middle(delays)?.toFixed(1));
    console.log(`call ${call} of ${CALLS}: Offhook ${medians[0]} ms, Chromium ${medians[1]} ms`);
  }
  const rows = heard.map((all, n) => ({
    who: ['Offhook', 'Chromium'][n],
    chirps: `${all.length} of ${CALLS * JUDGED}`,
    'least ms': Math.min(...all).toFixed(1),
    'median ms': middle(all).toFixed(1),
    'mean ms': (all.reduce((sum, delay) => sum + delay, 0) / all.length).toFixed(1),
    'most ms': Math.max(...all).toFixed(1),
  }));
  console.table(rows);
  const [ours, others] = rows.map((row) => Number(row['mean ms']));
  if (!(ours < others)) {
    console.log('Offhook is not quicker than Chromium.');
    process.exitCode = 1;
  }
} finally {
  await phone?.stop();
  await browser.stop();
  await room.stop();
  await simulator.stop();
}
