//! The task behind a native leg: every 20 ms it plays what the phone said and says the far end's
//! next words.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use rtc::rtp;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::arrived::Arrived;
use super::codec::{Encoder, FRAME};
use super::config::{Codec, Direction, LegEvent};
use super::dtmf;
use super::events::Events;
use super::far_end::Voice;
use super::interceptor::Arrival;
use super::mix::{Mixer, Party};
use super::playout::{Played, Playout};
use super::report::{LegReport, Level};
use super::send::Sender;
use crate::measure::{RATE, level_dbfs, to_i16, tone, tones};

/// How long a recording may grow: ten minutes (58 MB).
const RECORD_AT_MOST: usize = 600 * RATE as usize;

/// A 20 ms frame above this is sound, dBFS.
const SOUND_DBFS: f32 = -50.0;

/// Level and pitch are of the last second.
const METER: usize = RATE as usize;

/// What the media task is told.
pub(super) enum Command {
    /// ICE and DTLS are up: start speaking.
    Connected,
    /// What the answer chose.
    Negotiated {
        codec: Codec,
        direction: Direction,
    },
    FarEnd(Voice, String),
    /// Several parties, or one far end again.
    Mix(Option<Mixer>),
    Held(bool),
    Muted(bool),
}

/// What the task shares with the leg.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) report: LegReport,
    pub(super) recording: Vec<i16>,
    heard: VecDeque<i16>,
    said: VecDeque<i16>,
    parties: Vec<Party>,
    dtmf: dtmf::Receiver,
}

impl Shared {
    /// The report with levels and digits as of now.
    pub(super) fn report(&self) -> LegReport {
        let mixed = !self.parties.is_empty();
        let said = || self.said.iter().copied().collect::<Vec<_>>();
        LegReport {
            parties: self.parties.iter().map(Party::report).collect(),
            tones_out: if mixed { tones(&said()) } else { Vec::new() },
            level_in: level(&self.heard),
            level_out: level(&self.said),
            dtmf: self.dtmf.digits(),
            ..self.report.clone()
        }
    }
}

/// Takes a lock whose holder cannot leave anything half-done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since the Unix epoch of a moment of the monotonic clock. The two clocks are
/// compared once, so that the order of moments is kept.
pub(super) fn epoch_ms(at: Instant) -> f64 {
    static BASE: OnceLock<(Instant, f64)> = OnceLock::new();
    let (base, base_ms) = *BASE.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        (
            Instant::now(),
            since.unwrap_or_default().as_secs_f64() * 1_000.0,
        )
    });
    let ms = |span: Duration| span.as_secs_f64() * 1_000.0;
    base_ms + ms(at.saturating_duration_since(base)) - ms(base.saturating_duration_since(at))
}

/// Level and pitch of a stretch of sound.
pub(super) fn level(samples: &VecDeque<i16>) -> Level {
    let samples: Vec<i16> = samples.iter().copied().collect();
    match tone(&samples) {
        Ok(figures) => Level {
            dbfs: figures.dbfs,
            dominant_hz: figures.dominant_hz,
            purity: figures.purity,
        },
        Err(_) => Level {
            dbfs: level_dbfs(&samples),
            ..Level::default()
        },
    }
}

/// The task's own things.
pub(super) struct Media {
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) events: Events,
    pub(super) sender: Sender,
    pub(super) ssrc: u32,
    pub(super) voice: Voice,
    pub(super) record: bool,
    pub(super) expected_loss_percent: u8,
    /// Payload type and clock rate of RFC 4733, when offered.
    pub(super) telephone_event: Option<(u8, u32)>,
}

impl Media {
    /// Runs until the leg drops its end of `commands`.
    pub(super) async fn run(
        self,
        mut arrivals: mpsc::UnboundedReceiver<Arrival>,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut session = Session::new(self);
        // An absolute raster: a late tick is made up for, so that the stream keeps its clock.
        let mut ticks = tokio::time::interval(session.media.sender.pace());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => {
                        if matches!(command, Command::Connected) {
                            ticks.reset_immediately();
                        }
                        session.obey(command);
                    }
                    None => return,
                },
                Some(arrival) = arrivals.recv() => session.receive(&arrival),
                () = session.media.sender.due() => session.deliver().await,
                _ = ticks.tick() => session.tick().await,
            }
        }
    }
}

struct Session {
    media: Media,
    connected: bool,
    codec: Option<(Codec, Encoder)>,
    direction: Direction,
    mixer: Option<Mixer>,
    held: bool,
    muted: bool,
    playout: Playout,
    /// Played but not yet taken by a tick: packets need not be 20 ms.
    heard: VecDeque<f32>,
    next_sequence: u16,
    next_timestamp: u32,
    first: bool,
    arrived: Arrived,
}

impl Session {
    fn new(media: Media) -> Self {
        // RFC 3550 section 5.1: both start anywhere; the SSRC is random already. The sequence starts in the lower half,
        // as every WebRTC stack has it: a phone that missed all packets before the first wrap could decrypt none after
        // it, as its rollover counter would be behind for good (RFC 3711 section 3.3.1).
        let (next_sequence, next_timestamp) =
            (media.ssrc as u16 & 0x7FFF, media.ssrc.rotate_left(16));
        Self {
            media,
            connected: false,
            codec: None,
            direction: Direction::SendRecv,
            mixer: None,
            held: false,
            muted: false,
            playout: Playout::default(),
            heard: VecDeque::new(),
            next_sequence,
            next_timestamp,
            first: true,
            arrived: Arrived::default(),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Connected => self.connected = true,
            Command::Negotiated { codec, direction } => {
                self.direction = direction;
                if self
                    .codec
                    .as_ref()
                    .is_none_or(|(current, _)| *current != codec)
                {
                    match Encoder::new(codec, self.media.expected_loss_percent) {
                        Ok(encoder) => self.codec = Some((codec, encoder)),
                        Err(error) => self.fail(&error),
                    }
                }
            }
            Command::FarEnd(voice, text) => {
                self.media.voice = voice;
                lock(&self.media.shared).report.far_end = text;
            }
            Command::Mix(mixer) => {
                let mut shared = lock(&self.media.shared);
                let parties = mixer.as_ref().map(|mixer| mixer.parties(&shared.parties));
                shared.parties = parties.unwrap_or_default();
                drop(shared);
                self.mixer = mixer;
            }
            Command::Held(held) => {
                self.held = held;
                lock(&self.media.shared).report.held = held;
            }
            Command::Muted(muted) => {
                self.muted = muted;
                lock(&self.media.shared).report.muted = muted;
            }
        }
    }

    fn receive(&mut self, arrival: &Arrival) {
        let header = &arrival.packet.header;
        let codec = Codec::from_payload_type(header.payload_type);
        let event = self
            .media
            .telephone_event
            .filter(|(payload_type, _)| *payload_type == header.payload_type);
        let clock_rate = event.map(|(_, rate)| rate).or(codec.map(Codec::clock_rate));
        let first = self.arrived.count(arrival, clock_rate);

        let mut shared = lock(&self.media.shared);
        self.arrived.tell(&mut shared.report);
        if first {
            self.media.events.send(LegEvent::FirstMedia);
        }
        if let Some((_, clock_rate)) = event {
            let payload = &arrival.packet.payload;
            if let &[_, _, high, low, ..] = payload.as_ref() {
                let duration = u16::from_be_bytes([high, low]);
                self.playout
                    .cover(header.timestamp, header.ssrc, duration, clock_rate);
            }
            for digit in shared.dtmf.push(header.timestamp, payload, clock_rate) {
                self.media.events.send(LegEvent::Dtmf(digit));
            }
        } else if let Some(codec) = codec {
            shared.report.codec = Some(codec.name().to_owned());
            drop(shared);
            if let Err(error) = self.playout.push(arrival.at, &arrival.packet, codec) {
                self.fail(&error);
            }
        } else {
            shared.report.error = Some(format!(
                "the phone sent payload type {}, which was not offered",
                header.payload_type
            ));
        }
    }

    async fn tick(&mut self) {
        let heard = self.listen();
        if !self.connected {
            return;
        }
        let mut said = match &mut self.mixer {
            Some(mixer) => mixer.frame(&heard, &mut lock(&self.media.shared).parties),
            None => self.media.voice.frame(&heard),
        };
        if self.held {
            said.fill(0.0);
        }
        if let Err(error) = self.say(&said).await {
            self.fail(&error);
        }
    }

    /// Plays what is due; returns the 20 ms the far end hears now.
    fn listen(&mut self) -> Vec<f32> {
        let expected = matches!(self.direction, Direction::SendRecv | Direction::RecvOnly);
        for Played {
            mut samples,
            arrived,
        } in self.playout.play(Instant::now(), expected)
        {
            if self.held || self.muted {
                samples.fill(0.0);
            }
            let pcm: Vec<i16> = samples.iter().map(|&s| to_i16(s)).collect();
            let mut shared = lock(&self.media.shared);
            if let Some(at) = arrived
                && shared.report.first_sound_in_at.is_none()
                && level_dbfs(&pcm) > SOUND_DBFS
            {
                shared.report.first_sound_in_at = Some(epoch_ms(at));
            }
            keep(&mut shared.heard, &pcm);
            let room = RECORD_AT_MOST.saturating_sub(shared.recording.len());
            if self.media.record {
                shared.recording.extend(pcm.iter().take(room));
            }
            shared.report.concealed_frames = self.playout.concealed;
            shared.report.late = self.playout.late;
            self.heard.extend(samples);
        }
        // A tick may find one packet too many; more than that is a burst after a stall.
        while self.heard.len() > 3 * FRAME {
            self.heard.pop_front();
        }
        let ready = self.heard.len().min(FRAME);
        self.heard.drain(..ready).collect()
    }

    async fn say(&mut self, frame: &[f32]) -> Result<()> {
        let Some((codec, encoder)) = &mut self.codec else {
            return Ok(());
        };
        let payload = encoder.encode(frame)?;
        let mut packet = rtp::Packet {
            payload: Bytes::from(payload),
            ..rtp::Packet::default()
        };
        packet.header.version = 2;
        packet.header.payload_type = codec.payload_type();
        packet.header.sequence_number = self.next_sequence;
        packet.header.timestamp = self.next_timestamp;
        packet.header.ssrc = self.media.ssrc;
        packet.header.marker = self.first;
        self.next_timestamp = self.next_timestamp.wrapping_add(codec.clock_rate() / 50);
        if !matches!(self.direction, Direction::SendRecv | Direction::SendOnly) {
            return Ok(());
        }
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.first = false;
        let pcm: Vec<i16> = frame.iter().map(|&s| to_i16(s)).collect();
        keep(&mut lock(&self.media.shared).said, &pcm);
        self.media.sender.send(packet).await
    }

    async fn deliver(&mut self) {
        if let Err(error) = self.media.sender.deliver().await {
            self.fail(&error);
        }
        lock(&self.media.shared).report.delivery = self.media.sender.delivery();
    }

    /// Told once: after a fault of the transport every packet fails, and the error quotes the packet.
    fn fail(&self, error: &anyhow::Error) {
        let text: String = format!("{error:#}").chars().take(160).collect();
        let first = lock(&self.media.shared)
            .report
            .error
            .replace(text.clone())
            .is_none();
        if first {
            // Usual when the phone closes first; the report has it.
            tracing::debug!(error = text, "the gateway's media");
        }
    }
}

pub(super) fn keep(window: &mut VecDeque<i16>, pcm: &[i16]) {
    window.extend(pcm);
    while window.len() > METER {
        window.pop_front();
    }
}
