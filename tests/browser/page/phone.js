'use strict';
// Genesys's SDK as a phone: its events as a list that tests await.

const EVENTS = [
  'ready', 'connected', 'disconnected', 'pendingSession', 'cancelPendingSession',
  'handledPendingSession', 'sessionStarted', 'sessionEnded', 'conversationUpdate', 'sdkError',
  'station', 'concurrentSoftphoneSessionsEnabled',
];

window.phone = {
  sdk: null,
  events: [],
  waiting: [],

  /** Makes and initializes the SDK; `options` are added to its configuration. */
  async start(token, options = {}) {
    const { default: Sdk } = window.GenesysCloudWebrtcSdk;
    this.sdk = new Sdk({
      accessToken: token,
      environment: 'mypurecloud.test',
      optOutOfTelemetry: true,
      logLevel: 'debug',
      // A steady tone is no speech: whatever cleans speech would take it away.
      defaults: { micAutoGainControl: false, micEchoCancellation: false, micNoiseSuppression: false },
      ...options,
    });
    for (const name of EVENTS) this.sdk.on(name, (...details) => this.happened(name, details));
    await this.sdk.initialize();
  },

  happened(name, [first, second]) {
    const at = performance.timeOrigin + performance.now();
    const event = { name, at, detail: plain(name, first), more: plain(name, second) };
    this.events.push(event);
    for (const waiter of this.waiting.splice(0)) if (!waiter(event)) this.waiting.push(waiter);
  },

  /** The first event, from the list's position `since` on, that `matches`. */
  first(matches, since) {
    const known = this.events.slice(since).find(matches);
    if (known) return known;
    return new Promise((resolve) => {
      this.waiting.push((event) => matches(event) && (resolve(event), true));
    });
  },

  /** The first event of that name with these fields. */
  event(name, fits = {}, since = 0) {
    const agrees = ([key, value]) => (event) => event.detail?.[key] === value;
    return this.first(
      (event) => event.name === name && Object.entries(fits).every((pair) => agrees(pair)(event)),
      since,
    );
  },

  /** The first conversation event with a call in this state. */
  state(conversationId, fits, since = 0) {
    return this.first((event) => {
      if (event.name !== 'conversationUpdate') return false;
      const call = event.detail.current.find((one) => one.conversationId === conversationId);
      return call && Object.entries(fits).every(([key, value]) => call[key] === value);
    }, since);
  },
};

// What a test may see of an event: ids and states, no live objects.
function plain(name, value) {
  if (value === undefined || value === null) return value;
  if (name === 'conversationUpdate') {
    return {
      active: value.activeConversationId,
      current: (value.current ?? []).map(({ conversationId, mostRecentCallState, session }) => ({
        conversationId,
        sessionId: session?.id,
        state: mostRecentCallState?.state,
        held: mostRecentCallState?.held,
        muted: mostRecentCallState?.muted,
      })),
    };
  }
  if (name === 'sdkError') return { type: value.type, message: value.message };
  if (name === 'station') {
    const { id, webRtcCallAppearances } = value.station ?? {};
    return { action: value.action, id, webRtcCallAppearances };
  }
  if (typeof value !== 'object') return { value };
  const { id, sessionId, conversationId, sessionType, autoAnswer, condition, reconnecting } = value;
  return { id: id ?? sessionId, conversationId, sessionType, autoAnswer, condition, reconnecting };
}
