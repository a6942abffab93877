//! Everything the engine can be made to do, in virtual time, without an allocation of its own.

use offhook::audio::{
    AudioCommand, Content, Control, EchoCancelling, Engine, EngineConfig, GainControl, KeyTone,
    MAX_STREAMS, NoiseSuppression, RtpPacket, SendLimits, SoundPath, StreamPort, Tone, TonePlan,
    VoiceConfig, pipeline,
};
use offhook::media::CodecKind;
use offhook_hal::audio::{Period, PeriodReport};
use std::time::{Duration, Instant};

/// A phone with calls to itself.
pub struct Script {
    pub engine: Engine,
    pub control: Control,
    ports: [StreamPort; MAX_STREAMS],
    base: Instant,
    random: u64,
    sequences: [u16; MAX_STREAMS],
    timestamps: [u32; MAX_STREAMS],
    /// Held back, to come after its successor.
    held: [Option<RtpPacket>; MAX_STREAMS],
}

/// Periods of [`Script::run`].
pub const PERIODS: u32 = 4000;
const CODECS: [CodecKind; 3] = [CodecKind::Opus, CodecKind::Pcmu, CodecKind::Pcma];
const FRAMES_MS: [u8; 4] = [20, 10, 40, 60];

impl Script {
    /// A pipeline that has not run yet.
    pub fn new() -> Self {
        let config = EngineConfig {
            sidetone_db: Some(20.0),
            voices: [
                VoiceConfig {
                    noise_suppression: NoiseSuppression::Low,
                    ..VoiceConfig::default()
                },
                VoiceConfig {
                    echo_cancelling: Some(EchoCancelling::default()),
                    noise_suppression: NoiseSuppression::High,
                    gain_control: Some(GainControl::default()),
                },
                VoiceConfig::default(),
            ],
            ..EngineConfig::default()
        };
        let (engine, control, ports) = pipeline(config).unwrap();
        Self {
            engine,
            control,
            ports,
            base: Instant::now(),
            random: 0x9e37_79b9_7f4a_7c15,
            sequences: [65_000, 1, 2, 3],
            timestamps: [u32::MAX - 100_000, 1, 2, 3],
            held: [const { None }; MAX_STREAMS],
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % sides
    }

    /// Without a device.
    pub fn run(&mut self) {
        let mut playback = [0; 480];
        for period in 0..PERIODS {
            self.engine.note_device(&PeriodReport {
                playback_delay_frames: 960,
                capture_delay_frames: if period % 1000 == 0 { 1920 } else { 0 },
                xruns: u32::from(period % 1000 == 0),
                restarted: period % 1000 == 0,
            });
            self.step(period, &mut playback);
        }
        // With the real clock as well.
        for _ in 0..10 {
            self.engine.process(&[0; 480], &mut playback);
        }
    }

    /// One period of it.
    pub fn step(&mut self, period: u32, playback: &mut Period) {
        self.command(period);
        // A voice: loud and quiet, with a pitch.
        let microphone = std::array::from_fn(|n| {
            let t = (period * 480 + n as u32) % 48_000;
            let loudness = if t < 30_000 { 6000 } else { 60 };
            ((t % 320) as i32 - 160).signum() as i16 * loudness
        });
        let now = self.base + Duration::from_millis(10) * period;
        self.loop_back(now);
        self.engine.process_at(now, &microphone, playback);
    }

    fn command(&mut self, period: u32) {
        let stream = (period / 4) as usize % MAX_STREAMS;
        let turn = period as usize / 400;
        // What the far end says of what it got, and how much it may be: the frames get longer and shorter.
        if period.is_multiple_of(50) {
            let feedback = &self.ports[turn % MAX_STREAMS].feedback;
            feedback.reported(f64::from(period % 400) / 10.0);
            feedback.limit(SendLimits {
                longest_ms: 60,
                bandwidth_bps: [0, 64_000, 32_000, 24_000][period as usize / 50 % 4],
                ..SendLimits::default()
            });
        }
        let key = ['1', '5', '#', 'x'][period as usize % 4];
        let tones = [
            Tone::Dial,
            Tone::Ringback,
            Tone::Busy,
            Tone::Reorder,
            Tone::CallWaiting,
        ];
        let plans = [
            TonePlan::NorthAmerica,
            TonePlan::UnitedKingdom,
            TonePlan::ContinentalEurope,
        ];
        let paths = [SoundPath::Speaker, SoundPath::Handset, SoundPath::Headset];
        let command = match period % 400 {
            0 | 4 | 8 | 12 => AudioCommand::StartStream {
                stream,
                codec: CODECS[(turn + stream) % 3],
                frame_ms: FRAMES_MS[turn % 4],
            },
            20 => AudioCommand::Microphone {
                stream: Some(turn % MAX_STREAMS),
            },
            30 | 260 => AudioCommand::Listen(true),
            40 => AudioCommand::Tone(Some(tones[turn % 5])),
            60 => AudioCommand::KeyTone(Some(KeyTone(key))),
            62 => AudioCommand::KeyTone(None),
            70 => AudioCommand::Ring(true),
            100 => AudioCommand::Plan(plans[turn % 3]),
            150 => AudioCommand::Ring(false),
            160 => AudioCommand::Tone(None),
            170 => AudioCommand::Volume((turn * 10) as u8),
            180 => AudioCommand::RingVolume(50),
            200 => AudioCommand::Mute(true),
            220 => AudioCommand::Mute(false),
            240 => AudioCommand::Listen(false),
            110 | 310 => AudioCommand::Path(paths[(turn + period as usize / 200) % 3]),
            300 => AudioCommand::Microphone { stream: None },
            340 => AudioCommand::StopStream {
                stream: turn % MAX_STREAMS,
            },
            _ => return,
        };
        // One command per period is never too many.
        assert!(self.control.send(command).is_ok());
    }

    /// What each stream sends comes back on the next one, by a bad network.
    fn loop_back(&mut self, now: Instant) {
        for from in 0..MAX_STREAMS {
            let to = (from + 1) % MAX_STREAMS;
            while let Some(frame) = self.ports[from].outbound.dequeue() {
                let ticks = if frame.payload.len() * 6 == frame.samples as usize {
                    6
                } else {
                    1
                };
                let mut packet = RtpPacket {
                    content: Content::Audio,
                    sequence: self.sequences[from],
                    timestamp: self.timestamps[from],
                    ssrc: from as u32,
                    marker: frame.talk_spurt,
                    arrival: now,
                    payload: frame.payload,
                };
                self.sequences[from] = self.sequences[from].wrapping_add(1);
                self.timestamps[from] = self.timestamps[from].wrapping_add(frame.samples / ticks);
                match self.dice(100) {
                    0..5 => continue,                                              // lost
                    5 => packet.payload.clear(),                                   // empty
                    6 => packet.payload.iter_mut().for_each(|byte| *byte ^= 0xa5), // garbage
                    7 => {
                        packet.content =
                            [Content::Nothing, Content::ComfortNoise][self.dice(2) as usize];
                    }
                    8 => packet.ssrc = 77, // stray source
                    9 => self.timestamps[from] = self.timestamps[from].wrapping_add(1 << 24),
                    10 => self.sequences[from] = self.sequences[from].wrapping_add(20_000),
                    11 => self.give(to, packet.clone()), // twice
                    12..16 => {
                        self.held[from] = Some(packet); // overtaken, or far too late
                        continue;
                    }
                    _ => {}
                }
                self.give(to, packet);
                if self.dice(3) == 0
                    && let Some(late) = self.held[from].take()
                {
                    self.give(to, late);
                }
            }
        }
    }

    fn give(&mut self, to: usize, packet: RtpPacket) {
        // A full queue drops; that is the network's affair here.
        let _ = self.ports[to].inbound.enqueue(packet);
    }
}
