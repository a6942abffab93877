//! The jitter buffer: packets as they come in, an unbroken sound out, as late as the network makes necessary and no
//! later.
//!
//! Once per period the buffer is asked for 10 ms. It decodes packets as they are needed and keeps three positions
//! apart: the packets that wait ([`ring::PacketRing`]), the timestamp up to which sound was decoded, and the decoded
//! sound that waits to be played ([`pcm::Pcm`]).
//!
//! - A packet that is missing while a later one waits is lost: recovered from the later one's redundancy (Opus FEC), or
//!   concealed. What is concealed is left out again where it can be, when the sound that follows it is joined.
//! - When nothing waits, the sound *stalls*: it is concealed without moving on. If the packet then comes, it is played
//!   in full and the delay has grown; if a later one comes, the stall counts against the gap.
//! - After each packet the delay is compared with its target ([`delay::DelayEstimator`]) and a pitch period is taken
//!   out or put in where the sound repeats itself or is quiet ([`stretch`]). A drift of the clocks is met the same way.

mod delay;
mod fill;
mod loss;
mod pcm;
mod ring;
mod sequence;
mod source;
mod steer;
mod stretch;
#[cfg(test)]
mod tests;

use super::codec::{Decode, MAX_PACKET_SAMPLES};
use super::ramp::{GATE_SAMPLES, Ramp, ms};
use super::{Content, Frame, RtpPacket, StreamCounters};
use delay::{BIN, DelayEstimator};
use loss::Loss;
use offhook_hal::audio::PERIOD_FRAMES;
use pcm::Pcm;
use ring::{PacketRing, Place};
use sequence::{Sequence, Timestamps, Verdict};
use source::{Source, Who};
use std::time::Instant;
use steer::COPY_ROOM;

/// A stall longer than this fades out: the far end has stopped, or the network has.
const FADE_AFTER: usize = ms(80);
/// How long that fade takes.
const FADE: usize = ms(60);
/// A gap between two packets longer than this is not concealed but skipped.
const MAX_GAP: i64 = ms(500) as i64;
/// Decoders conceal in steps of 10 ms. libopus takes 2.5 ms too, but where the speech was SILK's it makes 10 all the same,
/// and throws away what was not asked for: its next sound does not join then.
const CONCEAL_STEP: usize = ms(10);
/// While nothing has come, sound is made up in steps of 2.5 ms.
const STALL_STEP: usize = ms(5) / 2;
/// More than this above the target when play starts, and the oldest packets are left out.
const START_EXCESS: f64 = ms(60) as f64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for packets, or for the first one's time.
    Waiting,
    /// Plays.
    Playing,
}

/// One stream's jitter buffer.
pub struct JitterBuffer {
    /// Waited beyond what the arrivals ask for, samples.
    headroom: usize,
    samples_per_tick: i64,
    source: Source,
    sequence: Sequence,
    timestamps: Timestamps,
    delay: DelayEstimator,
    loss: Loss,
    ring: PacketRing,
    pcm: Pcm,
    state: State,
    /// The decoder is to be reset before it decodes again.
    anew: bool,
    /// The next sound decoded is faded in.
    fade_in: bool,
    /// The next packet to decode; everything before it is played, concealed or given up.
    next_sequence: Option<i64>,
    /// The timestamp up to which sound was decoded, concealed or given up.
    next_timestamp: i64,
    /// Made up since the last packet without moving on.
    stalled: usize,
    /// Samples at the end of what waits that were made up for a gap.
    made_up: usize,
    /// Length of the last packet.
    packet_samples: usize,
    /// How long before its time the last packet came, at the beginning of the period.
    slack: i64,
    /// Numbers from `next_sequence` on that carried no audio.
    ignored: i64,
    /// Packets until one may be shortened without urgency.
    rest: u32,
    /// For how long the delay has been above the target by more than `steer` puts up with for long, samples.
    above: usize,
    /// Nobody speaks at the far end, and it sends nothing: comfort noise plays.
    rests: bool,
    /// The last comfort noise packet: its sequence number and level.
    noise: Option<(i64, u8)>,
    gain: Ramp,
    counters: StreamCounters,
    /// All periods' delays so far, milliseconds, and how many they are.
    delays: (f64, u64),
}

impl JitterBuffer {
    /// Allocates all it will ever need. It waits `headroom` samples longer than the arrivals ask for.
    pub fn new(headroom: usize) -> Self {
        Self {
            headroom,
            samples_per_tick: 1,
            source: Source::default(),
            sequence: Sequence::default(),
            timestamps: Timestamps::default(),
            delay: DelayEstimator::new(),
            loss: Loss::default(),
            ring: PacketRing::new(),
            pcm: Pcm::new(),
            state: State::Waiting,
            anew: true,
            fade_in: true,
            next_sequence: None,
            next_timestamp: 0,
            stalled: 0,
            made_up: 0,
            packet_samples: ms(20),
            slack: 0,
            ignored: 0,
            rest: 0,
            above: 0,
            rests: false,
            noise: None,
            gain: Ramp::new(1.0, FADE),
            counters: StreamCounters::default(),
            delays: (0.0, 0),
        }
    }

    /// Forgets everything, for a new stream whose RTP clock ticks once per `samples_per_tick` samples at 48 kHz.
    pub fn start(&mut self, samples_per_tick: i64) {
        self.samples_per_tick = samples_per_tick;
        self.source = Source::default();
        self.forget_source();
        self.delay.forget();
        self.loss = Loss::default();
        self.pcm.clear();
        self.fade_in = true;
        self.rest = 0;
        self.packet_samples = ms(20);
        self.gain = Ramp::new(1.0, FADE);
        self.counters = StreamCounters::default();
        self.delays = (0.0, 0);
    }

    /// The counters of the receiving side.
    pub fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    /// Takes a packet in, found at the period of `now`.
    pub fn insert(&mut self, packet: RtpPacket, now: Instant) {
        // A gateway may send its telephone events from a source of their own: that is not the one to listen to.
        if packet.content == Content::Nothing && !self.source.is(packet.ssrc) {
            return;
        }
        match self.source.judge(packet.ssrc) {
            Who::Ours => {}
            Who::Successor => {
                self.forget_source();
                self.counters.restarts += 1;
            }
            Who::Stranger => {
                self.counters.refused += 1;
                return;
            }
        }
        let (sequence, reordered) = match self.sequence.judge(packet.sequence) {
            Verdict::New {
                sequence,
                reordered,
            } => (sequence, reordered),
            Verdict::Duplicate => {
                self.counters.duplicate += 1;
                return;
            }
            Verdict::Stray => {
                self.counters.refused += 1;
                return;
            }
            Verdict::Restart => (self.restart(packet.sequence), false),
        };
        if packet.content != Content::Audio {
            self.account_for(sequence);
            if packet.content == Content::ComfortNoise
                && !reordered
                && let Some(level) = packet.payload.first()
            {
                self.noise = Some((sequence, level & 0x7f));
            }
            return;
        }
        self.counters.packets += 1;
        self.counters.reordered += u64::from(reordered);
        let timestamp = self
            .timestamps
            .extend(packet.timestamp, self.samples_per_tick);
        if self
            .delay
            .learn(packet.arrival, now, timestamp, self.packet_samples)
        {
            self.keep(sequence, timestamp, packet);
        } else {
            let sequence = self.restart(packet.sequence);
            let timestamp = self
                .timestamps
                .extend(packet.timestamp, self.samples_per_tick);
            self.delay
                .learn(packet.arrival, now, timestamp, self.packet_samples);
            self.keep(sequence, timestamp, packet);
        }
    }

    /// The next period.
    pub fn pull(&mut self, decoder: &mut impl Decode, now: Instant, out: &mut Frame) {
        if self.anew {
            self.end_old_sound(decoder);
        }
        while self.pcm.len() < PERIOD_FRAMES || self.is_to_be_joined(decoder) {
            let went_on = match self.state {
                State::Waiting => self.begin(decoder, now) || self.rest(decoder),
                State::Playing => self.go_on(decoder, now),
            };
            if !went_on {
                break;
            }
        }
        if self.state == State::Playing && !self.rests {
            let delay = self.delay.delay(now, self.playing()) / ms(1) as f64;
            let (sum, periods) = &mut self.delays;
            *sum += delay;
            *periods += 1;
            self.counters.delay_ms = delay as f32;
            self.counters.mean_delay_ms = (*sum / *periods as f64) as f32;
        }
        self.counters.target_ms = (self.target() / ms(1) as f64) as f32;
        self.pcm.pop(out);
        self.gain.apply(out);
    }

    /// What was made up for a gap waits to be joined to what follows, and that is there.
    fn is_to_be_joined(&self, decoder: &impl Decode) -> bool {
        let (1.., Some(first)) = (self.made_up, self.ring.first()) else {
            return false;
        };
        let gap = first.timestamp - self.next_timestamp;
        let copied = gap <= self.packet_samples as i64
            && self.next_sequence.is_some_and(|next| first.sequence > next)
            && decoder.carries_copy(self.ring.payload(first.sequence));
        gap <= 0 || copied
    }

    /// How far behind the quickest packets the playout shall be: what the arrivals ask for, and, while packets get lost
    /// whose copies come with the next, until that one is there.
    fn target(&self) -> f64 {
        let mut target = self.delay.target();
        if self.loss.waits_for_copies() {
            // Few are lost, so the next one may be late more often than others.
            target = target.max(self.delay.usual() + self.packet_samples as f64 + COPY_ROOM);
        }
        target + self.headroom as f64
    }

    /// The timestamp of the next sample to play.
    fn playing(&self) -> i64 {
        self.next_timestamp - self.pcm.len() as i64
    }

    /// The far end counts anew from this packet on; its extended sequence number.
    fn restart(&mut self, sequence: u16) -> i64 {
        self.forget_source();
        self.counters.restarts += 1;
        self.sequence.begin(sequence)
    }

    fn forget_source(&mut self) {
        self.sequence = Sequence::default();
        self.timestamps = Timestamps::default();
        self.delay.restart();
        self.ring.clear();
        self.state = State::Waiting;
        self.anew = true;
        self.next_sequence = None;
        self.stalled = 0;
        self.made_up = 0;
        self.above = 0;
        self.ignored = 0;
        self.rests = false;
        self.noise = None;
    }

    /// A number that carries no audio, and is not lost.
    fn account_for(&mut self, sequence: i64) {
        let first = || self.ring.first().map(|first| first.sequence);
        match self.next_sequence {
            // It was given up as lost before.
            Some(next) if sequence < next => {
                self.counters.lost = self.counters.lost.saturating_sub(1);
            }
            Some(_) => self.ignored += 1,
            // Nothing plays yet, and nothing before the first audio is missed.
            None => self.ignored += i64::from(first().is_some_and(|first| first < sequence)),
        }
    }

    fn keep(&mut self, sequence: i64, timestamp: i64, packet: RtpPacket) {
        if self.next_sequence.is_some_and(|next| sequence < next) {
            self.counters.late += 1;
            // It was given up as lost before.
            self.counters.lost = self.counters.lost.saturating_sub(1);
            return;
        }
        self.slack = timestamp - self.playing();
        let pushed_out = self.ring.insert(
            Place {
                sequence,
                timestamp,
            },
            packet.payload,
        );
        self.counters.late += u64::from(pushed_out);
    }

    /// Lets the sound of the former source die away, and starts the decoder anew.
    fn end_old_sound(&mut self, decoder: &mut impl Decode) {
        self.anew = false;
        if self.fade_in {
            // Nothing was played.
            decoder.reset();
            return;
        }
        self.conceal(decoder, PERIOD_FRAMES);
        let (sound, start, end) = self.pcm.tail(PERIOD_FRAMES);
        let length = (end - start) as f32;
        for (n, sample) in sound[start..end].iter_mut().enumerate() {
            *sample *= 1.0 - n as f32 / length;
        }
        decoder.reset();
        self.fade_in = true;
    }

    /// Starts to play when it is the first packet's time.
    fn begin(&mut self, decoder: &mut impl Decode, now: Instant) -> bool {
        let Place {
            sequence,
            timestamp,
        } = loop {
            let (Some(first), Some(last)) = (self.ring.first(), self.ring.last()) else {
                return false;
            };
            let ahead = (last.timestamp - first.timestamp) as f64;
            if ahead <= self.target() + START_EXCESS {
                break first;
            }
            self.leave_out(first.sequence);
        };
        let early = self.target() - self.delay.delay(now, timestamp);
        // The target is a little above what is needed; to fill that up would cost a period.
        let silence = if early > BIN as f64 {
            early as usize
        } else {
            0
        };
        if silence >= PERIOD_FRAMES {
            return false;
        }
        if self.rests {
            self.make_up(decoder, silence);
            self.rests = false;
            // The codec's first sound need not join the noise.
            self.fade_in = true;
        } else {
            self.pcm.room(silence).fill(0.0);
            self.pcm.commit(silence);
        }
        self.give_up_to(sequence);
        self.next_timestamp = timestamp;
        self.stalled = 0;
        self.made_up = 0;
        self.slack = 0;
        self.state = State::Playing;
        self.gain.jump(1.0);
        true
    }

    /// Decodes a packet, recovers or conceals one, or stalls. False if the far end has gone silent.
    fn go_on(&mut self, decoder: &mut impl Decode, now: Instant) -> bool {
        let Some(Place {
            sequence,
            timestamp,
        }) = self.ring.first()
        else {
            return self.stall(decoder);
        };
        if self.rests {
            // A talk spurt begins, with the right delay.
            self.state = State::Waiting;
            return true;
        }
        let gap = timestamp - self.next_timestamp;
        if gap > MAX_GAP {
            // Nothing to say for so long: begin again, with the right delay.
            self.end_old_sound(decoder);
            self.made_up = 0;
            self.state = State::Waiting;
            return true;
        }
        // What was made up while nothing had come counts against the gap.
        let covered = gap.clamp(0, self.stalled as i64);
        self.next_timestamp += covered;
        self.stalled -= covered as usize;
        let gap = gap - covered;
        if gap > 0 {
            self.fill(decoder, sequence, gap as usize, now);
        } else {
            self.play(decoder, sequence, timestamp, now);
        }
        true
    }

    /// Decodes the first waiting packet.
    fn play(&mut self, decoder: &mut impl Decode, sequence: i64, timestamp: i64, now: Instant) {
        self.give_up_to(sequence);
        self.next_sequence = Some(sequence + 1);
        let overlap = (self.next_timestamp - timestamp).max(0) as usize;
        let room = self.pcm.room(MAX_PACKET_SAMPLES);
        let decoded = decoder.decode(self.ring.payload(sequence), room);
        let with_copy = decoder.carries_copy(self.ring.payload(sequence));
        self.rests = decoder.rests(self.ring.payload(sequence));
        self.noise = self.noise.filter(|(noise, _)| *noise > sequence);
        self.ring.remove(sequence);
        let Some(samples) = decoded else {
            self.counters.refused += 1;
            self.made_up = 0;
            self.conceal(decoder, self.packet_samples);
            self.next_timestamp += self.packet_samples as i64;
            return;
        };
        self.packet_samples = samples;
        self.loss.came(with_copy);
        // What was concealed already is left out; but a sender whose timestamps overlap by whole packets is played.
        let skip = if overlap < samples { overlap } else { 0 };
        self.pcm.commit_without(skip, samples);
        self.next_timestamp = timestamp + samples as i64;
        self.stalled = 0;
        let decoded = samples - skip;
        if self.fade_in {
            self.fade_in = false;
            let (sound, start, end) = self.pcm.tail(decoded);
            for (n, sample) in sound[start..end].iter_mut().take(GATE_SAMPLES).enumerate() {
                *sample *= (n + 1) as f32 / GATE_SAMPLES as f32;
            }
        }
        self.gain.to(1.0);
        if !self.join(now, decoded) {
            self.steer(now, decoded);
        }
    }

    /// Drops the first waiting packet: it has come too late.
    fn leave_out(&mut self, sequence: i64) {
        self.ring.remove(sequence);
        self.give_up_to(sequence);
        self.next_sequence = Some(sequence + 1);
        self.counters.late += 1;
    }

    /// Everything before `sequence` that has not come is lost.
    fn give_up_to(&mut self, sequence: i64) {
        if let Some(next) = self.next_sequence {
            let missing = (sequence - next).max(0);
            let ignored = self.ignored.min(missing);
            self.ignored -= ignored;
            self.counters.lost += (missing - ignored) as u64;
            self.loss.lost(missing - ignored);
            self.next_sequence = Some(next.max(sequence));
        } else {
            self.next_sequence = Some(sequence);
        }
    }
}
