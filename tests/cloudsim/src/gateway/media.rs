//! The task behind a native leg: every 20 ms it plays what the phone said and says the far end's
//! next words.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use rtc::rtp;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

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

/// RFC 3550 appendix A bookkeeping of the phone's stream.
#[derive(Default)]
struct Arrived {
    packets: u64,
    bytes: u64,
    first_at: Option<Instant>,
    ssrc: Option<u32>,
    /// First and highest sequence number, unwrapped.
    sequence: Option<(i64, i64)>,
    seen: HashSet<i64>,
    duplicates: u64,
    reordered: u64,
    /// Losses of streams that are over.
    lost_before: u64,
    previous: Option<(Instant, u32)>,
    max_gap: Duration,
    jitter: f64,
    frame_ms: f64,
}

impl Arrived {
    /// Counts a packet; true for the very first.
    fn count(&mut self, arrival: &Arrival, clock_rate: Option<u32>) -> bool {
        let header = &arrival.packet.header;
        self.packets += 1;
        self.bytes += arrival.packet.payload.len() as u64;
        if self.ssrc != Some(header.ssrc) {
            self.lost_before += self.lost();
            self.ssrc = Some(header.ssrc);
            self.sequence = None;
            self.seen.clear();
            self.previous = None;
        }
        let (first, highest) = self.sequence.unwrap_or((
            i64::from(header.sequence_number),
            i64::from(header.sequence_number),
        ));
        let step = i64::from(header.sequence_number.wrapping_sub(highest as u16) as i16);
        let sequence = highest + step;
        if !self.seen.insert(sequence) {
            self.duplicates += 1;
        } else if sequence < highest {
            self.reordered += 1;
        }
        self.sequence = Some((first.min(sequence), highest.max(sequence)));
        if let Some((before, timestamp)) = self.previous {
            let between = arrival.at.saturating_duration_since(before);
            self.max_gap = self.max_gap.max(between);
            if let Some(rate) = clock_rate.filter(|_| sequence > highest) {
                let said =
                    f64::from(header.timestamp.wrapping_sub(timestamp) as i32) / f64::from(rate);
                let difference = (between.as_secs_f64() - said).abs();
                self.jitter += (difference - self.jitter) / 16.0;
                if sequence == highest + 1 {
                    self.frame_ms = said * 1_000.0;
                }
            }
        }
        self.previous = Some((arrival.at, header.timestamp));
        self.first_at
            .replace(self.first_at.unwrap_or(arrival.at))
            .is_none()
    }

    fn lost(&self) -> u64 {
        self.sequence.map_or(0, |(first, highest)| {
            ((highest - first + 1) as u64).saturating_sub(self.seen.len() as u64)
        })
    }

    fn tell(&self, report: &mut LegReport) {
        report.packets_in = self.packets;
        report.bytes_in = self.bytes;
        report.frame_in_ms = self.frame_ms;
        report.lost = self.lost_before + self.lost();
        report.duplicates = self.duplicates;
        report.reordered = self.reordered;
        report.max_gap_ms = self.max_gap.as_secs_f64() * 1_000.0;
        report.jitter_ms = self.jitter * 1_000.0;
        if report.first_packet_in_at.is_none() {
            report.first_packet_in_at = self.first_at.map(epoch_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(start: Instant, ms: u64, sequence: u16) -> Arrival {
        let mut packet = rtp::Packet::default();
        packet.header.sequence_number = sequence;
        packet.header.timestamp = u32::from(sequence).wrapping_mul(960);
        packet.payload = Bytes::from_static(&[0; 100]);
        Arrival {
            at: start + Duration::from_millis(ms),
            packet,
        }
    }

    #[test]
    fn losses_duplicates_and_disorder_are_told_apart() {
        let start = Instant::now();
        let mut arrived = Arrived::default();
        // Sequence numbers wrap; 1 never comes, 0 comes late, 2 comes twice.
        let order = [65_534, 65_535, 2, 0, 2, 3];
        for (n, sequence) in order.into_iter().enumerate() {
            let first = arrived.count(&arrival(start, 20 * n as u64, sequence), Some(48_000));
            assert_eq!(first, n == 0);
        }
        let mut report = LegReport::default();
        arrived.tell(&mut report);
        assert_eq!((report.packets_in, report.bytes_in), (6, 600));
        assert_eq!(
            (report.lost, report.duplicates, report.reordered),
            (1, 1, 1)
        );
        assert!((report.max_gap_ms - 20.0).abs() < 0.1);
    }

    #[test]
    fn jitter_is_that_of_rfc_3550() {
        let start = Instant::now();
        let mut arrived = Arrived::default();
        for n in 0..200_u64 {
            // Every other packet 8 ms late: each difference is 8 ms.
            arrived.count(
                &arrival(start, 20 * n + 8 * (n % 2), n as u16),
                Some(48_000),
            );
        }
        let mut report = LegReport::default();
        arrived.tell(&mut report);
        assert!((report.jitter_ms - 8.0).abs() < 0.2, "{}", report.jitter_ms);
        assert!((report.max_gap_ms - 28.0).abs() < 0.1);
    }
}
