// Genesys's own SDK takes the simulator for the cloud: it initializes, takes and places calls,
// mutes, holds and ends them, with sound in both directions, in both forms of signaling. And it
// finds nothing missing: the simulator's list of broken rules stays empty.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser, MICROPHONE } from './rig/chromium.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Simulator } from './rig/simulator.mjs';

/** What far ends say. */
const FAR_END_HZ = 440;

let simulator;
let browser;

before(async () => {
  simulator = await Simulator.start();
  browser = await Browser.start(simulator.address);
});

after(async () => {
  await browser?.stop();
  await simulator?.stop();
});

/** The simulator hears the page's microphone: within 1 dB, and nothing else. */
const heardByFarEnd = ({ leg }) =>
  leg &&
  Math.abs(leg.levelIn.dominantHz - MICROPHONE.hz) < 5 &&
  Math.abs(leg.levelIn.dbfs - MICROPHONE.dbfs) < 1 &&
  leg.levelIn.purity > 0.97;
const silentAtFarEnd = ({ leg }) => leg && leg.levelIn.dbfs < -60;

for (const form of ['sdpOverXmpp', 'jingle']) {
  describe(`the SDK, ${form}`, () => {
    let phone;
    let user;

    before(async () => {
      // This SDK's streaming client is older than the metadata request.
      user = await simulator.addUser({ name: `SDK ${form}`, expectsMetadata: false });
      await simulator.outbound({ form });
    });

    after(async () => {
      await phone?.stop();
    });

    /** Rings the SDK and answers; returns when sound flows both ways. */
    async function answered(id) {
      const pending = await phone.event('pendingSession', { conversationId: id });
      assert.equal(pending.detail.sessionType, 'softphone');
      await phone.page.evaluate(() => window.ear.again());
      const accepted = await phone.page.evaluate(() => performance.timeOrigin + performance.now());
      await phone.call('acceptPendingSession', { conversationId: id });
      await phone.event('sessionStarted', { conversationId: id });
      await soundBothWays(id);
      return accepted;
    }

    async function soundBothWays(id) {
      await phone.hears(FAR_END_HZ);
      await simulator.untilCall(id, 'the far end hears the microphone', heardByFarEnd);
    }

    test('initializes', async () => {
      phone = await SdkPhone.start(browser, user);
      await phone.event('ready');
    });

    test('takes a call, mutes, holds, and sees the far end hang up', async () => {
      const id = await simulator.callUser({ to: user.userId, form });
      await answered(id);
      let since = await phone.now();
      await phone.call('setAudioMute', { conversationId: id, mute: true });
      await phone.state(id, { muted: true }, since);
      await simulator.untilCall(id, 'mute silences the far end', silentAtFarEnd);
      await phone.hears(FAR_END_HZ);
      since = await phone.now();
      await phone.call('setAudioMute', { conversationId: id, mute: false });
      await phone.state(id, { muted: false }, since);
      await simulator.untilCall(id, 'sound returns after mute', heardByFarEnd);

      since = await phone.now();
      await phone.call('setConversationHeld', { conversationId: id, held: true });
      await phone.state(id, { held: true }, since);
      await simulator.untilCall(id, 'hold silences the far end', silentAtFarEnd);
      await phone.hearsNothing();
      since = await phone.now();
      await phone.call('setConversationHeld', { conversationId: id, held: false });
      await phone.state(id, { held: false }, since);
      await soundBothWays(id);

      await simulator.command(id, 'hangup');
      await phone.event('sessionEnded', { conversationId: id });
      await simulator.untilCall(id, 'ended', ({ state }) => /disconnected|terminated/.test(state));
    });

    test('takes a call and ends it; the time to sound is measured', async () => {
      const id = await simulator.callUser({ to: user.userId, form });
      const accepted = await answered(id);
      const heard = await phone.page.evaluate(() => window.ear.firstSoundAt);
      const { leg, marks } = await simulator.call(id);
      const since = (at) => Math.round((at - accepted) * 10) / 10;
      const of = (what) => marks.find((mark) => mark.what === what)?.at;
      console.log(
        JSON.stringify({
          measured: 'acceptPendingSession to first sound, ms',
          form,
          offer: since(of('offer')),
          answer: since(leg.answeredAt),
          connected: since(leg.connectedAt),
          heardBySdk: since(heard),
          heardByFarEnd: since(leg.firstSoundInAt),
          bothWays: since(Math.max(heard, leg.firstSoundInAt)),
        }),
      );
      await phone.call('endSession', { conversationId: id });
      await phone.event('sessionEnded', { conversationId: id });
      await simulator.untilCall(id, 'ended', ({ state }) => /disconnected|terminated/.test(state));
    });

    test('places a call that the far end answers, and ends it', async () => {
      const { id } = await phone.call('startSoftphoneSession', { phoneNumber: '+13175550123' });
      const pending = await phone.event('pendingSession', { conversationId: id });
      assert.equal(pending.detail.autoAnswer, true);
      await phone.event('sessionStarted', { conversationId: id });
      await simulator.untilCall(id, 'the far end rings', ({ state }) => /contacting|dialing/.test(state));
      await simulator.command(id, 'answer');
      await phone.state(id, { state: 'connected' });
      await soundBothWays(id);
      await phone.call('endSession', { conversationId: id });
      await phone.event('sessionEnded', { conversationId: id });
    });

    test('places a call that the far end ends', async () => {
      const { id } = await phone.call('startSoftphoneSession', { phoneNumber: '+13175550123' });
      await phone.event('sessionStarted', { conversationId: id });
      await simulator.untilCall(id, 'the far end rings', ({ state }) => /contacting|dialing/.test(state));
      await simulator.command(id, 'answer');
      await soundBothWays(id);
      await simulator.command(id, 'hangup');
      await phone.event('sessionEnded', { conversationId: id });
    });

    test('rejects a call', async () => {
      const id = await simulator.callUser({ to: user.userId, form });
      await phone.event('pendingSession', { conversationId: id });
      await phone.call('rejectPendingSession', { conversationId: id });
      const { leg } = await simulator.untilCall(id, 'rejected', ({ state }) => /disconnected|terminated/.test(state));
      assert.equal(leg, null);
    });

    test('had no error and broke no rule', async () => {
      await phone.hadNoErrors();
      await simulator.brokeNoRule();
    });
  });
}
