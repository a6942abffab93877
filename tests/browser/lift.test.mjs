// The phone beside the SDK, in one run: from lifting the handset, and from acceptPendingSession,
// to sound both ways. Nothing is asserted but that there was sound; the figures are printed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './rig/chromium.mjs';
import { Offhook } from './rig/offhook.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Playback } from './rig/playback.mjs';
import { Simulator } from './rig/simulator.mjs';
import { until } from './rig/wait.mjs';

/** No tone the phone makes by itself. */
const FAR_END_HZ = 1_700;
const ROUNDS = 5;

let simulator;
let browser;
let sdk;
let phone;
let playback;
let page;

before(async () => {
  simulator = await Simulator.start(['--no-metadata']);
  browser = await Browser.start(simulator.address);
  phone = await Offhook.start(simulator, simulator.users[0]);
  playback = new Playback(phone.playback);
  page = await simulator.addUser({ name: 'SDK', expectsMetadata: false });
  sdk = await SdkPhone.start(browser, page);
});

after(async () => {
  playback?.stop();
  await sdk?.stop();
  await phone?.stop();
  await browser?.stop();
  await simulator?.stop();
});

const ring = (user) => simulator.callUser({ to: user.userId, leg: { farEnd: `tone:${FAR_END_HZ}` } });
const farEndHears = async (id) => {
  const { leg } = await simulator.untilCall(id, 'the far end hears it', ({ leg }) => leg?.firstSoundInAt);
  return leg.firstSoundInAt;
};
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
const round = (ms) => Math.round(ms * 10) / 10;

async function byPhone() {
  const id = await ring(phone.user);
  await phone.ringing(id);
  const lifted = Date.now();
  await phone.hook('lifted');
  const out = await farEndHears(id);
  const ear = await until('the phone plays the far end', () => playback.heardAt(FAR_END_HZ, lifted));
  await phone.hook('resting');
  await simulator.untilOver(id);
  return { farEnd: out - lifted, ear: ear - lifted, both: Math.max(out, ear) - lifted };
}

async function bySdk() {
  const id = await ring(page);
  await sdk.event('pendingSession', { conversationId: id });
  await sdk.page.evaluate(() => window.ear.again());
  const accepted = Date.now();
  await sdk.call('acceptPendingSession', { conversationId: id });
  const out = await farEndHears(id);
  const ear = await until('the page hears the far end', () => sdk.page.evaluate(() => window.ear.firstSoundAt));
  await sdk.ends(id);
  await simulator.untilOver(id);
  return { farEnd: out - accepted, ear: ear - accepted, both: Math.max(out, ear) - accepted };
}

test('both get sound; how soon is printed', async () => {
  const rounds = { phone: [], sdk: [] };
  for (let n = 0; n < ROUNDS; n++) {
    rounds.phone.push(await byPhone());
    rounds.sdk.push(await bySdk());
  }
  const of = (who, key) => round(median(rounds[who].map((one) => one[key])));
  const figures = (who) => ({ farEnd: of(who, 'farEnd'), ear: of(who, 'ear'), both: of(who, 'both') });
  const [ours, theirs] = [figures('phone'), figures('sdk')];
  assert.ok([ours, theirs].every(({ both }) => Number.isFinite(both)), JSON.stringify(rounds));
  console.log(JSON.stringify({
    measured: 'lift, or acceptPendingSession, to first sound, ms, medians',
    rounds: ROUNDS,
    phone: ours,
    sdk: theirs,
    ratio: Math.round((ours.both / theirs.both) * 1_000) / 1_000,
  }));
});
