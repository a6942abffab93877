'use strict';
// Listens to every remote track of the page, whoever made the peer connection, and says what is
// in it. Loaded before the SDK, so that each RTCPeerConnection passes by here.

window.ear = {
  peers: [],
  /** When the first sound above -50 dBFS was heard on any track, ms since the epoch. */
  firstSoundAt: null,
  meter: null,

  /** Level and strongest frequency of the last 0.7 s. */
  hears() {
    const { meter } = this;
    if (!meter) return { dbfs: -100, hz: 0, purity: 0 };
    const time = new Float32Array(meter.fftSize);
    meter.getFloatTimeDomainData(time);
    const square = time.reduce((sum, x) => sum + x * x, 0) / time.length;
    const bins = new Float32Array(meter.frequencyBinCount);
    meter.getFloatFrequencyData(bins);
    const power = bins.map((db) => 10 ** (db / 10));
    const step = meter.context.sampleRate / meter.fftSize;
    const lowest = Math.ceil(20 / step);
    let peak = lowest;
    for (let n = lowest; n < power.length; n++) if (power[n] > power[peak]) peak = n;
    let total = 0;
    let near = 0;
    for (let n = lowest; n < power.length; n++) {
      total += power[n];
      if (Math.abs(n - peak) * step <= 30) near += power[n];
    }
    const dbfs = 10 * Math.log10(2 * square + 1e-10);
    return total > 0 ? { dbfs, hz: peak * step, purity: near / total } : { dbfs, hz: 0, purity: 0 };
  },

  /** Forgets the first sound, for the next call. */
  again() {
    this.firstSoundAt = null;
  },

  /** getStats of the newest peer with a remote track, by type. */
  async stats() {
    const peer = this.peers.findLast(({ heard }) => heard);
    const stats = peer ? [...(await peer.getStats()).values()] : [];
    return Object.fromEntries(stats.map((stat) => [stat.type, stat]));
  },
};

{
  const context = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
  // Tells the moment of the first loud quantum (2.7 ms).
  const module = `registerProcessor('first-sound', class extends AudioWorkletProcessor {
    process([[channel]]) {
      if (channel?.some((sample) => Math.abs(sample) > 0.0045)) this.port.postMessage(null);
      return true;
    }
  });`;
  const ready = context.audioWorklet.addModule(URL.createObjectURL(new Blob([module], { type: 'text/javascript' })));

  const listen = async (track, peer) => {
    await ready;
    await context.resume();
    const stream = new MediaStream([track]);
    // libwebrtc decodes only for a stream that something plays.
    const sink = new Audio();
    sink.muted = true;
    sink.srcObject = stream;
    sink.play();
    const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    const meter = new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0 });
    const first = new AudioWorkletNode(context, 'first-sound', { numberOfOutputs: 0 });
    first.port.onmessage = () => {
      window.ear.firstSoundAt ??= performance.timeOrigin + performance.now();
    };
    source.connect(meter);
    source.connect(first);
    window.ear.meter = meter;
    window.ear.metered = peer;
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      window.ear.peers.push(this);
      this.addEventListener('track', ({ track }) => {
        this.heard = true;
        listen(track, this);
      });
    }

    close() {
      super.close();
      // What the meter holds of this call is not what the next one hears; a call that took this
      // one's place keeps its own.
      if (window.ear.metered === this) window.ear.meter = null;
    }
  };
}
