// The simulator's far-end page, in Chromium, as the other party of a call.

import { until } from './wait.mjs';

/** What the page says by itself. */
export const FAR_END_HZ = 440;

/** Opens the far end of a call whose leg was asked for with the far end "browser". */
export async function openFarEnd(browser, simulator, id) {
  return browser.open(new URL(`/sim/far-end?call=${id}`, simulator.controlUrl).href);
}

/** The report of the leg, once the page hears this tone at its level (within 2 dB). */
export async function heardByPage(simulator, id, { hz, dbfs }) {
  const what = `the far-end page hears ${hz} Hz at ${dbfs} dBFS`;
  const { leg } = await simulator.untilCall(id, what, ({ leg }) => {
    const heard = leg?.levelIn;
    return heard && Math.abs(heard.dominantHz - hz) < 5 && heard.purity > 0.9 && Math.abs(heard.dbfs - dbfs) < 2;
  });
  return leg;
}

/**
 * What libwebrtc counted of the phone's stream over some seconds. `share` is how much of the sound
 * it played it had to make up, 0 to 1; what was before the first look does not count.
 */
export async function concealment(simulator, id, seconds = 3) {
  const inbound = async () => (await simulator.call(id)).leg.browser.inbound;
  const before = await inbound();
  const after = await until(`${seconds} s more of sound`, async () => {
    const now = await inbound();
    return now.timestamp >= before.timestamp + seconds * 1_000 && now;
  });
  const more = (key) => after[key] - before[key];
  return {
    share: more('concealedSamples') / more('totalSamplesReceived'),
    lost: more('packetsLost'),
    packets: more('packetsReceived'),
    packetsPerSecond: (1_000 * more('packetsReceived')) / more('timestamp'),
    jitterBufferMs: (1_000 * more('jitterBufferDelay')) / more('jitterBufferEmittedCount'),
  };
}
