// Our jitter buffer against libwebrtc's NetEQ: the phone and Genesys's SDK in Chromium, each in a call of its own at the
// same time, hear the same voice through the same network, packet by packet (tests/audio/traces/networks.toml).
//
//   npm run neteq                 every network
//   npm run neteq -- Wi-Fi 4G     those whose name has one of the words
//   npm run neteq -- --equal      each once more, our buffer waiting as long as NetEQ did (audio.jitter_headroom_ms)
//
// Delay is from the arrival of the quickest packets to the ear; "made up" is what was concealed of all that was played.

import { readFile } from 'node:fs/promises';

import { Browser } from './rig/chromium.mjs';
import { Offhook } from './rig/offhook.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Simulator } from './rig/simulator.mjs';
import { until } from './rig/wait.mjs';

/** A recorded voice of alsa-utils. */
const VOICE = process.env.VOICE ?? '/usr/share/sounds/alsa/Front_Center.wav';
/** Not judged: both learn, ms. */
const LEARNS = 3_000;

/** The networks of the file: tables of numbers and one string each. */
async function networks(words) {
  const text = await readFile(new URL('../audio/traces/networks.toml', import.meta.url), 'utf8');
  const tables = text.split('[[network]]').slice(1);
  const all = tables.map((table) =>
    Object.fromEntries([...table.matchAll(/^(\w+) = (.+)$/gm)].map(([, key, value]) => [key, JSON.parse(value)])));
  return all.filter(({ name }) => !words.length || words.some((word) => name.includes(word)));
}

const simulator = await Simulator.start(['--no-metadata', '--user', 'SDK', '--user', 'Phone']);
const browser = await Browser.start(simulator.address);
const [first, second] = simulator.users;
const sdk = await SdkPhone.start(browser, first);
let phone = await Offhook.start(simulator, second);

/** What NetEQ has counted so far. */
const chromium = async () => {
  const { 'inbound-rtp': now } = await sdk.page.evaluate(() => window.ear.stats());
  return {
    played: now.totalSamplesReceived,
    madeUp: now.concealedSamples,
    stretched: now.insertedSamplesForDeceleration + now.removedSamplesForAcceleration,
    waited: now.jitterBufferDelay,
    emitted: now.jitterBufferEmittedCount,
  };
};

/** What our phone has counted so far. */
const ours = async (id) => {
  const calls = await phone.ask('GET', '/calls');
  const { media } = calls.find((call) => call.conversationId === id);
  return { at: performance.now(), madeUp: media.concealedMs, delay: media.jitterBufferMs };
};

const delivered = async (id) => (await simulator.call(id)).leg.delivery;

async function compare(network) {
  const leg = { codecs: ['opus'], farEnd: `wav:${VOICE}`, network, expectedLossPercent: network.loss_percent ? 5 : 0 };
  const [theirs, own] = await Promise.all([first, second].map(({ userId: to }) => simulator.callUser({ to, leg })));
  await Promise.all([sdk.event('pendingSession', { conversationId: theirs }), phone.ringing(own)]);
  await Promise.all([
    sdk.call('acceptPendingSession', { conversationId: theirs }),
    phone.hook('lifted'),
  ]);
  await sdk.event('sessionStarted', { conversationId: theirs });
  const heard = async (id) => ((await delivered(id))?.delivered ?? 0) > LEARNS / 20;
  await until('both hear', async () => (await heard(theirs)) && (await heard(own)));

  const before = [await chromium(), await ours(own), await delivered(theirs)];
  const delays = [];
  const end = performance.now() + network.seconds * 1_000 - LEARNS;
  while (performance.now() < end) {
    delays.push((await ours(own)).delay);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const after = [await chromium(), await ours(own), await delivered(theirs)];

  const [neteq, buffer, way] = after.map((now, n) =>
    Object.fromEntries(Object.entries(now).map(([key, value]) => [key, value - before[n][key]])));
  // NetEQ counts from each packet's own arrival, which comes later than the quickest would have.
  const slower = way.totalMs / way.delivered - after[2].leastMs;
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
  const theirMean = (1_000 * neteq.waited) / neteq.emitted + slower;
  const row = {
    network: network.name,
    'Offhook: delay ms': mean.toFixed(1),
    'made up %': ((100 * buffer.madeUp) / buffer.at).toFixed(2),
    'NetEQ: delay ms': theirMean.toFixed(1),
    'made up % ': ((100 * neteq.madeUp) / neteq.played).toFixed(2),
    'stretched %': ((100 * neteq.stretched) / neteq.played).toFixed(2),
  };

  await phone.hook('resting');
  await sdk.ends(theirs);
  await Promise.all([theirs, own].map((id) => simulator.untilOver(id)));
  return { row, longer: Math.round(theirMean - mean) };
}

/** A phone that waits so much longer than it would. */
async function waiting(headroom) {
  await phone.stop();
  phone = await Offhook.start(simulator, second, { jitterHeadroom: headroom });
}

const rows = [];
const note = (row) => {
  rows.push(row);
  console.log(Object.entries(row).map(([name, value]) => `${name.trim()} ${value}`).join(', '));
};
try {
  const words = process.argv.slice(2);
  for (const network of await networks(words.filter((word) => word !== '--equal'))) {
    const { row, longer } = await compare(network);
    note(row);
    if (!words.includes('--equal') || longer <= 0) continue;
    // More than that the phone does not take: then the delays are not equal.
    const headroom = Math.min(longer, 100);
    await waiting(headroom);
    note((await compare({ ...network, name: `${network.name}, ours ${headroom} ms longer` })).row);
    await waiting(0);
  }
  console.table(rows);
} finally {
  await sdk.stop();
  await phone.stop();
  await browser.stop();
  await simulator.stop();
}
