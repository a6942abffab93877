// A web page as the far end: libwebrtc itself hears the phone, with no peer of ours in between.
// First with Genesys's SDK as the phone (libwebrtc on both sides), then with our phone.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser, MICROPHONE } from './rig/chromium.mjs';
import { FAR_END_HZ, concealment, heardByPage, openFarEnd } from './rig/far-end.mjs';
import { Offhook } from './rig/offhook.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Simulator } from './rig/simulator.mjs';

/** Made-up sound on loopback: none but for a busy machine's hiccup. */
const CONCEALED_AT_MOST = 0.005;

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

describe("the SDK's phone and a far-end page", () => {
  let phone;

  after(async () => {
    await phone?.stop();
  });

  for (const form of ['sdpOverXmpp', 'jingle']) {
    test(`hear each other, ${form}`, async () => {
      const user = await simulator.addUser({ name: `SDK ${form}`, expectsMetadata: false });
      await phone?.stop();
      phone = await SdkPhone.start(browser, user);
      const id = await simulator.callUser({ to: user.userId, form, leg: { farEnd: 'browser' } });
      const page = await openFarEnd(browser, simulator, id);
      await phone.event('pendingSession', { conversationId: id });
      await phone.call('acceptPendingSession', { conversationId: id });
      await phone.hears(FAR_END_HZ);
      const leg = await heardByPage(simulator, id, MICROPHONE);
      assert.equal(leg.peer, 'browser');
      assert.ok(leg.packetsIn > 0 && leg.codec === 'opus', JSON.stringify(leg));
      await phone.call('endSession', { conversationId: id });
      await phone.event('sessionEnded', { conversationId: id });
      await page.context().close();
      await simulator.brokeNoRule();
    });
  }
});

describe('our phone and a far-end page', () => {
  let phone;

  before(async () => {
    phone = await Offhook.start(simulator, simulator.users[0]);
  });

  after(async () => {
    await phone?.stop();
  });

  for (const form of ['sdpOverXmpp', 'jingle']) {
    for (const codec of ['opus', 'pcmu']) {
      test(`hear each other, ${form}, ${codec}`, async (t) => {
        t.after(() => phone.hook('resting'));
        const leg = { farEnd: 'browser', codecs: [codec] };
        const id = await simulator.callUser({ to: phone.user.userId, form, leg });
        const page = await openFarEnd(browser, simulator, id);
        await phone.ringing(id);
        await phone.hook('lifted');
        const heard = await heardByPage(simulator, id, phone.capture);
        assert.equal(heard.codec.toLowerCase(), codec);
        const figures = await concealment(simulator, id);
        console.log(JSON.stringify({ measured: 'our phone, heard by libwebrtc', form, codec, ...figures }));
        assert.equal(figures.lost, 0);
        assert.ok(figures.share <= CONCEALED_AT_MOST, JSON.stringify(figures));
        assert.ok(figures.packetsPerSecond > 45 && figures.packetsPerSecond < 105, JSON.stringify(figures));
        await phone.hook('resting');
        await simulator.untilCall(id, 'ended', ({ state }) => /disconnected|terminated/.test(state));
        await page.context().close();
        await simulator.brokeNoRule();
      });
    }
  }
});
