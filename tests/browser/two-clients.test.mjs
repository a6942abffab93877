// Two clients of one user at once: Genesys's SDK in Chromium and our phone. Whoever answers has
// the call; the other is told, and both say so.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser, MICROPHONE } from './rig/chromium.mjs';
import { Offhook } from './rig/offhook.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Simulator } from './rig/simulator.mjs';

const FAR_END_HZ = 440;

let simulator;
let browser;
let sdk;
let phone;
let user;

before(async () => {
  // This SDK's streaming client is older than the metadata request.
  simulator = await Simulator.start(['--no-metadata']);
  browser = await Browser.start(simulator.address);
  [user] = simulator.users;
  phone = await Offhook.start(simulator, user);
  // Both would take every call that either of them places; the page waits to be asked.
  sdk = await SdkPhone.start(browser, user, { disableAutoAnswer: true });
});

after(async () => {
  await sdk?.stop();
  await phone?.stop();
  await browser?.stop();
  await simulator?.stop();
});

const heard = (id, hz) =>
  simulator.untilCall(id, `the far end hears ${hz} Hz`, ({ leg }) =>
    leg && Math.abs(leg.levelIn.dominantHz - hz) < 5 && leg.levelIn.purity > 0.9);

/** The phone does not claim a call that another client has. */
async function leftAlone(id) {
  await phone.shows(id, 'no call of its own', (call) => !call || (call.state !== 'alerting' && !call.media));
  const { audio, hook } = await phone.ask('GET', '/status');
  assert.equal(hook, 'resting', JSON.stringify(audio));
}

test('the SDK answers, and the phone is told', async () => {
  const id = await simulator.callUser({ to: user.userId });
  await phone.ringing(id);
  await sdk.answers(id, FAR_END_HZ);
  await heard(id, MICROPHONE.hz);
  await leftAlone(id);
  await sdk.ends(id);
  await phone.shows(id, 'nothing', (call) => !call);
  await simulator.untilOver(id);
  await simulator.brokeNoRule();
});

test('the phone answers, and the SDK is told', async () => {
  const id = await simulator.callUser({ to: user.userId });
  await sdk.event('pendingSession', { conversationId: id });
  await phone.ringing(id);
  await phone.hook('lifted');
  await phone.shows(id, 'a connected call', (call) => call?.state === 'connected');
  await sdk.event('handledPendingSession', { conversationId: id });
  await heard(id, phone.capture.hz);
  assert.equal(await sdk.count('sessionStarted', { conversationId: id }), 0);
  await phone.hook('resting');
  await simulator.untilOver(id);
  await phone.shows(id, 'nothing', (call) => !call);
  await simulator.brokeNoRule();
});

test('a call the SDK places is not taken by the phone', async () => {
  const { id } = await sdk.call('startSoftphoneSession', { phoneNumber: '+13175550123' });
  await sdk.event('pendingSession', { conversationId: id });
  await sdk.call('acceptPendingSession', { conversationId: id });
  await sdk.event('sessionStarted', { conversationId: id });
  await simulator.untilCall(id, 'the far end rings', ({ state }) => state === 'dialing');
  await simulator.command(id, 'answer');
  await sdk.hears(FAR_END_HZ);
  await heard(id, MICROPHONE.hz);
  await leftAlone(id);
  await sdk.ends(id);
  await simulator.brokeNoRule();
});

test('a call the phone places is the phone\'s', async () => {
  const { id } = await phone.ask('POST', '/calls', { phoneNumber: '+13175550124' });
  await simulator.untilCall(id, 'the far end rings', ({ state }) => state === 'dialing');
  await simulator.command(id, 'answer');
  await phone.shows(id, 'a connected call', (call) => call?.state === 'connected');
  await heard(id, phone.capture.hz);
  await sdk.event('handledPendingSession', { conversationId: id });
  assert.equal(await sdk.count('sessionStarted', { conversationId: id }), 0);
  await phone.ask('POST', `/calls/${id}/end`);
  await simulator.untilOver(id);
  await simulator.brokeNoRule();
});
