// One session for several calls, judged by Genesys's own SDK: Line Appearance 1, persistent
// connections, eager ones.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { Browser } from './rig/chromium.mjs';
import { SdkPhone } from './rig/phone.mjs';
import { Simulator } from './rig/simulator.mjs';

/** What the far ends say: no one is another's harmonic. */
const [FIRST_HZ, SECOND_HZ, DIALED_HZ] = [440, 620, 1_570];

let simulator;
let browser;
let phone;
let user;

before(async () => {
  simulator = await Simulator.start();
  browser = await Browser.start(simulator.address);
});

after(async () => {
  await browser?.stop();
  await simulator?.stop();
});

/** An SDK for a new user. This SDK's streaming client is older than the metadata request. */
async function start(spec, options) {
  user = await simulator.addUser({ expectsMetadata: false, ...spec });
  phone = await SdkPhone.start(browser, user, options);
}

afterEach(async () => {
  await phone?.stop();
  phone = undefined;
});

const ring = (hz) => simulator.callUser({ to: user.userId, leg: { farEnd: `tone:${hz}` } });

async function well() {
  await phone.hadNoErrors();
  await simulator.brokeNoRule();
}

describe('the SDK with one line', () => {
  test('takes a second call on the same session, switches, and ends both', async () => {
    await start({ name: 'One line in', lineAppearances: 1 });
    const first = await ring(FIRST_HZ);
    const session = (await phone.answers(first, FIRST_HZ)).id;
    const second = await ring(SECOND_HZ);
    assert.equal((await phone.answers(second, SECOND_HZ)).id, session);
    await phone.event('handledPendingSession', { conversationId: second });
    await phone.state(first, { held: true });
    assert.equal((await simulator.call(second)).proposes, 1, 'no propose but the first call\'s');

    let since = await phone.now();
    await phone.call('setConversationHeld', { conversationId: first, held: false });
    await phone.state(second, { held: true }, since);
    await phone.hears(FIRST_HZ);

    await phone.ends(first);
    await phone.hearsNothing();
    since = await phone.now();
    await phone.call('setConversationHeld', { conversationId: second, held: false });
    await phone.state(second, { held: false }, since);
    await phone.hears(SECOND_HZ);
    await phone.ends(second);
    await simulator.untilSessions(user, 'the session is gone', (all) => all.length === 0);
    await well();
  });

  test('places a second call on the same session', async () => {
    await start({ name: 'One line out', lineAppearances: 1 });
    await simulator.outbound({ leg: { farEnd: `tone:${DIALED_HZ}` } });
    const first = await ring(FIRST_HZ);
    const session = (await phone.answers(first, FIRST_HZ)).id;
    const { id } = await phone.call('startSoftphoneSession', { phoneNumber: '+13175550123' });
    const pending = await phone.event('pendingSession', { conversationId: id });
    assert.deepEqual([pending.detail.id, pending.detail.autoAnswer], [session, true]);
    await phone.event('sessionStarted', { conversationId: id });
    await phone.state(first, { held: true });
    await simulator.command(id, 'answer');
    await phone.state(id, { state: 'connected' });
    await phone.hears(DIALED_HZ);
    await phone.ends(id);
    await simulator.command(first, 'hangup');
    await simulator.untilSessions(user, 'the session is gone', (all) => all.length === 0);
    await well();
  });

  test('rejects a second call, and sees one given up', async () => {
    await start({ name: 'One line no', lineAppearances: 1 });
    const first = await ring(FIRST_HZ);
    await phone.answers(first, FIRST_HZ);
    const rejected = await ring(SECOND_HZ);
    await phone.event('pendingSession', { conversationId: rejected });
    await phone.call('rejectPendingSession', { conversationId: rejected });
    await simulator.untilOver(rejected);
    const given = await ring(SECOND_HZ);
    await phone.event('pendingSession', { conversationId: given });
    await simulator.command(given, 'retract');
    await phone.event('cancelPendingSession', { conversationId: given });
    await phone.hears(FIRST_HZ);
    await phone.ends(first);
    await well();
  });
});

describe('the SDK with a persistent connection', () => {
  for (const renegotiates of [false, true]) {
    test(`keeps its session between calls${renegotiates ? ', offered again for each' : ''}`, async () => {
      await start({ name: `Kept ${renegotiates}`, lineAppearances: 1, persistent: true, renegotiates });
      const first = await ring(FIRST_HZ);
      const session = (await phone.answers(first, FIRST_HZ)).id;
      await phone.ends(first);
      const [kept] = await simulator.sessions(user);
      assert.deepEqual([kept.sessionId, kept.shared, kept.up], [session, true, true]);

      const second = await ring(SECOND_HZ);
      assert.equal((await phone.answers(second, SECOND_HZ)).id, session);
      if (renegotiates) {
        await simulator.untilCall(second, 'answered again', ({ marks }) => marks.some(({ what }) => what === 'reanswer'));
        await phone.hears(SECOND_HZ);
      }
      await phone.ends(second);

      await simulator.ask('POST', `/sim/users/${user.userId}/persistent`, { do: 'lose' });
      await simulator.untilSessions(user, 'the session is gone', (all) => all.length === 0);
      const third = await ring(FIRST_HZ);
      assert.notEqual((await phone.answers(third, FIRST_HZ)).id, session);
      await phone.ends(third);
      await well();
    });
  }

  test('sets one up before the first call', async () => {
    await start({ name: 'Eager', lineAppearances: 1, persistent: true, eager: true });
    const [session] = await simulator.untilSessions(user, 'the eager session is up', (all) => all[0]?.up);
    assert.equal(await phone.count('pendingSession'), 0);
    const id = await ring(FIRST_HZ);
    assert.equal((await phone.answers(id, FIRST_HZ)).id, session.sessionId);
    await phone.ends(id);
    await well();
  });
});
