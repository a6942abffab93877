//! Making the pipeline: all memory and all codecs, once.

use super::counters::{Shared, StreamCells};
use super::engine::Engine;
use super::reference::MOST_EXTRA_MS;
use super::stream::Stream;
use super::{
    AudioCommand, AudioCounters, COMMAND_QUEUE, Feedback, MAX_STREAMS, PACKET_QUEUE,
    StreamCounters, StreamPort, TonePlan, VoiceConfig,
};
use heapless::spsc::{Producer, Queue};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How the Opus encoders are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// Bits per second, 6000..=510000.
    pub bitrate_bps: u32,
    /// Effort, 0..=10.
    pub complexity: u8,
    /// In-band forward error correction: each packet carries a coarse copy of the one before.
    pub fec: bool,
    /// Discontinuous transmission.
    pub dtx: bool,
    /// Loss the encoder reckons with, percent, 0..=100; at 0 it spends nothing on FEC.
    pub expected_loss_percent: u8,
    /// The most that a stream may send, bits per second with all headers; 0: no limit.
    pub bandwidth_bps: u32,
}

impl Default for OpusConfig {
    /// Full-band speech, at an effort that a Cortex-A53 has many times over. 40 kbit/s and 10 % are what libopus needs
    /// to put the redundancy in without giving up bandwidth for it.
    fn default() -> Self {
        Self {
            bitrate_bps: 40_000,
            complexity: 5,
            fec: true,
            dtx: false,
            expected_loss_percent: 10,
            bandwidth_bps: 0,
        }
    }
}

/// How the pipeline starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineConfig {
    /// Whose tones.
    pub tone_plan: TonePlan,
    /// Opus encoders.
    pub opus: OpusConfig,
    /// Waited in the jitter buffers beyond what the arrivals ask for, milliseconds.
    pub jitter_headroom_ms: u8,
    /// Own voice in the ear, decibel below the microphone, on handset and headset; `None`: not mixed (the codec
    /// does it).
    pub sidetone_db: Option<f32>,
    /// What is done to each path's microphone, in the order of [`super::SoundPath`].
    pub voices: [VoiceConfig; 3],
    /// Volume of the ear, percent; 100 passes sound on unchanged.
    pub volume_percent: u8,
    /// Volume of the ring, percent.
    pub ring_volume_percent: u8,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            tone_plan: TonePlan::default(),
            opus: OpusConfig::default(),
            jitter_headroom_ms: 0,
            sidetone_db: None,
            voices: [VoiceConfig::default(); 3],
            volume_percent: 100,
            ring_volume_percent: 100,
        }
    }
}

/// The pipeline cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioSetupError {
    /// A value out of its range.
    #[error("audio: {what} is {given}, allowed are {allowed}")]
    Range {
        /// Which.
        what: &'static str,
        /// As configured.
        given: u32,
        /// The range, in words.
        allowed: &'static str,
    },
    /// libopus refused.
    #[error("audio: the Opus codec cannot be set up: {0}")]
    Opus(#[from] opus::Error),
}

/// The queue to the audio thread is full: the thread does not run, or is being flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audio thread takes no commands: {COMMAND_QUEUE} are waiting already")]
pub struct Full;

/// Levels of the last period, dBFS of its mean power; a full-scale sine is 0. Silence is -120.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// After the capture chain, before the mute gate: a muted speaker is still seen.
    pub mic_dbfs: f32,
    /// What went to the device.
    pub ear_dbfs: f32,
}

/// The phone's end of the pipeline.
pub struct Control {
    commands: Producer<'static, AudioCommand>,
    shared: Arc<Shared>,
}

impl Control {
    /// Queues a command; it is obeyed in the next period. Wakes an idle audio thread.
    pub fn send(&mut self, command: AudioCommand) -> Result<(), Full> {
        let queued = self.commands.enqueue(command).map_err(|_| {
            self.shared.commands_dropped.fetch_add(1, Relaxed);
            Full
        });
        self.shared.sleeper.wake();
        queued
    }

    /// The engine's counters.
    pub fn counters(&self) -> AudioCounters {
        self.shared.audio()
    }

    /// How often the audio thread has given a sign of life: while it runs, at least every [`super::thread::LOOK_AFTER`]
    /// and what the device takes to fail.
    pub fn beats(&self) -> u64 {
        self.shared.beats.load(Relaxed)
    }

    /// A stream's counters; all zero for a stream there is not.
    pub fn stream(&self, stream: usize) -> StreamCounters {
        self.shared
            .streams
            .get(stream)
            .map(StreamCells::snapshot)
            .unwrap_or_default()
    }

    /// Levels now.
    pub fn levels(&self) -> Levels {
        Levels {
            mic_dbfs: f32::from_bits(self.shared.mic_dbfs.load(Relaxed)),
            ear_dbfs: f32::from_bits(self.shared.ear_dbfs.load(Relaxed)),
        }
    }
}

/// Makes the pipeline. To be called once per sound device of a process: the queues between the threads are never
/// freed (about 800 kB), because either thread may be the last to use them.
pub fn pipeline(
    config: EngineConfig,
) -> Result<(Engine, Control, [StreamPort; MAX_STREAMS]), AudioSetupError> {
    check(&config)?;
    let shared = Arc::new(Shared::default());
    let mut streams = Vec::with_capacity(MAX_STREAMS);
    let mut ports = Vec::with_capacity(MAX_STREAMS);
    for stream in 0..MAX_STREAMS {
        let (inbound, packets) = leaked::<_, PACKET_QUEUE>();
        let (frames, outbound) = leaked::<_, PACKET_QUEUE>();
        let feedback = Feedback::default();
        streams.push(Stream::new(&config, packets, frames, feedback.clone())?);
        ports.push(StreamPort {
            stream,
            inbound,
            outbound,
            feedback,
        });
    }
    let (commands, waiting) = leaked::<_, { COMMAND_QUEUE + 1 }>();
    let engine = Engine::new(&config, streams, waiting, Arc::clone(&shared));
    let ports = ports
        .try_into()
        .unwrap_or_else(|_| unreachable!("one port per stream"));
    Ok((engine, Control { commands, shared }, ports))
}

/// Both ends of a queue that is never freed.
pub(super) fn leaked<T, const N: usize>()
-> (Producer<'static, T>, heapless::spsc::Consumer<'static, T>) {
    let queue: &'static mut Queue<T, N> = Box::leak(Box::new(Queue::new()));
    queue.split()
}

fn check(config: &EngineConfig) -> Result<(), AudioSetupError> {
    let mut ranges: Vec<(&str, u32, std::ops::RangeInclusive<u32>, &str)> = vec![
        (
            "the Opus bit rate",
            config.opus.bitrate_bps,
            6000..=510_000,
            "6000 to 510000 bit/s",
        ),
        (
            "the Opus complexity",
            config.opus.complexity.into(),
            0..=10,
            "0 to 10",
        ),
        (
            "the expected loss",
            config.opus.expected_loss_percent.into(),
            0..=100,
            "0 to 100 percent",
        ),
        (
            "the volume",
            config.volume_percent.into(),
            0..=100,
            "0 to 100 percent",
        ),
        (
            "the ring volume",
            config.ring_volume_percent.into(),
            0..=100,
            "0 to 100 percent",
        ),
    ];
    for voice in &config.voices {
        if let Some(echo) = voice.echo_cancelling {
            let most = MOST_EXTRA_MS.into();
            let delay = echo.extra_delay_ms.into();
            ranges.push(("the echo's extra delay", delay, 0..=most, "0 to 100 ms"));
            let gate = echo.gate_db.into();
            ranges.push(("the echo gate", gate, 0..=40, "0 to 40 dB"));
        }
        if let Some(gain) = voice.gain_control {
            let headroom = gain.headroom_db.into();
            ranges.push(("the gain's headroom", headroom, 1..=30, "1 to 30 dB"));
            let most = gain.most_db.into();
            ranges.push(("the greatest gain", most, 1..=40, "1 to 40 dB"));
        }
    }
    for (what, given, range, allowed) in ranges {
        if !range.contains(&given) {
            return Err(AudioSetupError::Range {
                what,
                given,
                allowed,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{EchoCancelling, GainControl};

    #[test]
    fn a_value_out_of_range_is_named() {
        let opus = OpusConfig {
            bitrate_bps: 1,
            ..OpusConfig::default()
        };
        let Err(error) = pipeline(EngineConfig {
            opus,
            ..EngineConfig::default()
        }) else {
            panic!("1 bit/s was taken");
        };
        assert_eq!(
            error.to_string(),
            "audio: the Opus bit rate is 1, allowed are 6000 to 510000 bit/s"
        );
    }

    #[test]
    fn a_paths_value_out_of_range_is_named() {
        let echo = |extra_delay_ms, gate_db| VoiceConfig {
            echo_cancelling: Some(EchoCancelling {
                extra_delay_ms,
                gate_db,
            }),
            ..VoiceConfig::default()
        };
        let gain = |headroom_db, most_db| VoiceConfig {
            gain_control: Some(GainControl {
                headroom_db,
                most_db,
            }),
            ..VoiceConfig::default()
        };
        let with = |voice| {
            let mut config = EngineConfig::default();
            config.voices[1] = voice;
            check(&config)
        };
        for good in [echo(0, 0), echo(100, 40), gain(1, 1), gain(30, 40)] {
            with(good).unwrap();
        }
        for (voice, expected) in [
            (
                echo(101, 24),
                "the echo's extra delay is 101, allowed are 0 to 100 ms",
            ),
            (echo(0, 41), "the echo gate is 41, allowed are 0 to 40 dB"),
            (
                gain(0, 18),
                "the gain's headroom is 0, allowed are 1 to 30 dB",
            ),
            (
                gain(5, 41),
                "the greatest gain is 41, allowed are 1 to 40 dB",
            ),
        ] {
            let error = with(voice).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_full_command_queue_says_so_and_counts() {
        let (_engine, mut control, _ports) = pipeline(EngineConfig::default()).unwrap();
        for _ in 0..COMMAND_QUEUE {
            control.send(AudioCommand::Mute(true)).unwrap();
        }
        assert_eq!(control.send(AudioCommand::Mute(true)), Err(Full));
        assert_eq!(control.counters().commands_dropped, 1);
    }
}
