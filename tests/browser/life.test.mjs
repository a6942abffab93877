// Genesys's own SDK through everything that may happen to a call and its connection: drops,
// connection transfer, re-invite, renegotiation, and news of the station.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Browser, MICROPHONE } from './rig/chromium.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Simulator } from './rig/simulator.mjs';

const FAR_END_HZ = 440;

let simulator;
let browser;
let phone;
let user;
let number = 0;

before(async () => {
  simulator = await Simulator.start();
  browser = await Browser.start(simulator.address);
});

after(async () => {
  await browser?.stop();
  await simulator?.stop();
});

afterEach(async () => {
  await phone?.stop();
  phone = undefined;
});

/** An SDK for a new user, in a call. */
async function talking() {
  number += 1;
  user = await simulator.addUser({ name: `Agent ${number}`, expectsMetadata: false });
  phone = await SdkPhone.start(browser, user);
  const id = await simulator.callUser({ to: user.userId });
  await phone.answers(id, FAR_END_HZ);
  await heard(id);
  return id;
}

const heard = (id) =>
  simulator.untilCall(id, 'the far end hears the microphone', ({ leg }) =>
    leg && Math.abs(leg.levelIn.dominantHz - MICROPHONE.hz) < 5 && leg.levelIn.purity > 0.9);

for (const [how, faults] of [
  ['a dropped socket', ['dropSockets']],
  ['a connection transfer', ['transfer', 'closeSockets']],
]) {
  test(`a call survives ${how}`, async () => {
    const id = await talking();
    const since = await phone.now();
    for (const fault of faults) await simulator.inject({ fault, user: user.userId });
    await phone.event('disconnected', {}, since);
    await phone.event('connected', {}, since);
    await phone.hears(FAR_END_HZ);
    await heard(id);
    // The SDK hears of its calls again, and the cloud of it.
    const later = await phone.now();
    await phone.call('setAudioMute', { conversationId: id, mute: true });
    await phone.state(id, { muted: true }, later);
    await phone.ends(id);
    await simulator.brokeNoRule();
  });
}

test('a re-invite takes the place of the session without a word', async () => {
  const id = await talking();
  const [old] = await simulator.sessions(user);
  await simulator.command(id, 'reinvite');
  const [next] = await simulator.untilSessions(user, 'one new session', (all) => all.length === 1
    && all[0].up && all[0].sessionId !== old.sessionId);
  await phone.hears(FAR_END_HZ);
  await heard(id);
  assert.equal(await phone.count('sessionStarted', { conversationId: id }), 1);
  assert.equal((await simulator.call(id)).sessionId, next.sessionId);
  await phone.ends(id);
  await simulator.brokeNoRule();
});

test('an offer with the same ICE is answered in place', async () => {
  const id = await talking();
  await simulator.ask('POST', `/sim/calls/${id}/reoffer`, {});
  await simulator.untilCall(id, 'answered again', ({ marks }) => marks.some(({ what }) => what === 'reanswer'));
  await phone.hears(FAR_END_HZ);
  await heard(id);
  assert.equal(await phone.count('sessionStarted', { conversationId: id }), 1);
  await phone.ends(id);
  await simulator.brokeNoRule();
});

test('the station comes, goes and changes', async () => {
  const id = await talking();
  const tell = (what) => simulator.ask('POST', `/sim/users/${user.userId}/station`, what);
  let since = await phone.now();
  await simulator.ask('PATCH', `/sim/users/${user.userId}`, { lineAppearances: 1 });
  await tell({ action: 'WebRTCMigration' });
  await phone.event('station', { action: 'Associated', webRtcCallAppearances: 1 }, since);
  since = await phone.now();
  await tell({ associated: false });
  await phone.event('station', { action: 'Disassociated' }, since);
  since = await phone.now();
  await tell({ associated: true });
  await phone.event('station', { action: 'Associated', id: user.stationId }, since);
  await phone.hears(FAR_END_HZ);
  await phone.ends(id);
  await simulator.brokeNoRule();
});
