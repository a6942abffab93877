// The page with Genesys's SDK, as tests drive it.

import assert from 'node:assert/strict';

import { until, within } from './wait.mjs';

export class SdkPhone {
  /** Opens the page and initializes the SDK for a user of the simulator. */
  static async start(browser, user, options = {}) {
    const log = [];
    const page = await browser.open('/sdk.html', log);
    const phone = Object.assign(new SdkPhone(), { page, log, user });
    const start = ([token, options]) => window.phone.start(token, options);
    await phone.within('the SDK initializes', page.evaluate(start, [user.token, options]));
    return phone;
  }

  /** An awaited thing; when it does not come, what the page said is part of the error. */
  async within(what, promise) {
    try {
      return await within(what, promise);
    } catch (error) {
      const events = await this.page.evaluate(() => JSON.stringify(window.phone.events.slice(-8)));
      throw new Error(`${what}: ${error.message}\n${events}\n${this.log.slice(-25).join('\n')}`);
    }
  }

  /** Position in the list of events, for "from now on". */
  now() {
    return this.page.evaluate(() => window.phone.events.length);
  }

  event(name, fits, since) {
    const wait = ([name, fits, since]) => window.phone.event(name, fits, since);
    return this.within(`${name} ${JSON.stringify(fits ?? {})}`, this.page.evaluate(wait, [name, fits, since]));
  }

  state(conversationId, fits, since) {
    const wait = ([id, fits, since]) => window.phone.state(id, fits, since);
    const what = `conversation ${JSON.stringify(fits)}`;
    return this.within(what, this.page.evaluate(wait, [conversationId, fits, since]));
  }

  /** Calls one of the SDK's methods; returns what it resolves to, if that is plain data. */
  call(method, argument) {
    const ask = async ([method, argument]) => {
      const result = await window.phone.sdk[method](argument);
      return result?.id ? { id: result.id } : null;
    };
    return this.within(method, this.page.evaluate(ask, [method, argument]));
  }

  /** Waits until the page hears a tone. */
  hears(hz) {
    return until(`the page hears ${hz} Hz`, async () => {
      const heard = await this.page.evaluate(() => window.ear.hears());
      return Math.abs(heard.hz - hz) < 5 && heard.purity > 0.9 && heard.dbfs > -40 && heard;
    });
  }

  /** Takes a call and waits until its far end is heard. Returns the pending session. */
  async answers(conversationId, hz) {
    const pending = await this.event('pendingSession', { conversationId });
    await this.call('acceptPendingSession', { conversationId });
    await this.event('sessionStarted', { conversationId });
    await this.hears(hz);
    return pending.detail;
  }

  /** Ends a call, and waits until the SDK says so. */
  async ends(conversationId) {
    await this.call('endSession', { conversationId });
    await this.event('sessionEnded', { conversationId });
  }

  /** How often an event was told. */
  count(name, fits = {}) {
    return this.page.evaluate(
      ([name, fits]) => window.phone.events.filter((event) => event.name === name
        && Object.entries(fits).every(([key, value]) => event.detail?.[key] === value)).length,
      [name, fits],
    );
  }

  /** Waits until the page hears nothing. */
  hearsNothing() {
    return until('the page hears nothing', async () => {
      const heard = await this.page.evaluate(() => window.ear.hears());
      return heard.dbfs < -60 && heard;
    });
  }

  /** No error event was told. */
  async hadNoErrors() {
    const errors = await this.page.evaluate(() =>
      window.phone.events.filter((event) => event.name === 'sdkError'),
    );
    assert.deepEqual(errors, []);
  }

  async stop() {
    await this.within('the SDK lets go', this.page.evaluate(() => window.phone.sdk.destroy()));
    await this.page.context().close();
  }
}
