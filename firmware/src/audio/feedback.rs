//! What the far end says of the stream it gets, on its way to the encoder: what was lost of it, and how much it may be.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// One stream's last receiver report, and its limits. Clones are the same stream's.
#[derive(Clone, Debug, Default)]
pub struct Feedback(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    reports: AtomicU32,
    lost_percent: AtomicU32,
    /// How often the limits were set.
    limited: AtomicU32,
    longest_ms: AtomicU32,
    bandwidth_bps: AtomicU32,
    rtp_bps: AtomicU32,
    codec_bps: AtomicU32,
}

/// What a stream may send. 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendLimits {
    /// The longest frame, milliseconds; one that is shorter than what was agreed on, as 0, leaves no other than that.
    pub longest_ms: u8,
    /// All packets with all headers, IP's and UDP's too, bits per second.
    pub bandwidth_bps: u32,
    /// All packets as RTP counts them, with its headers, but not UDP's and IP's, bits per second.
    pub rtp_bps: u32,
    /// What is in the packets alone, bits per second.
    pub codec_bps: u32,
}

impl Feedback {
    /// A report block came (RFC 3550 6.4.1): this part of the last interval's packets was lost, 0.0 to 100.0 percent.
    pub fn reported(&self, lost_percent: f64) {
        self.0
            .lost_percent
            .store(lost_percent.clamp(0.0, 100.0).round() as u32, Relaxed);
        self.0.reports.fetch_add(1, Release);
    }

    /// From now on so much may be sent. Only for one thread at a time.
    pub fn limit(&self, limits: SendLimits) {
        if limits == self.limits().1 {
            return;
        }
        self.0.longest_ms.store(limits.longest_ms.into(), Relaxed);
        self.0.bandwidth_bps.store(limits.bandwidth_bps, Relaxed);
        self.0.rtp_bps.store(limits.rtp_bps, Relaxed);
        self.0.codec_bps.store(limits.codec_bps, Relaxed);
        // Last: who sees the number sees the limits, or newer ones, of which the number is still to come.
        self.0.limited.fetch_add(1, Release);
    }

    /// How many reports have come, and what the last said, percent.
    pub(super) fn latest(&self) -> (u32, u8) {
        (
            self.0.reports.load(Acquire),
            self.0.lost_percent.load(Relaxed) as u8,
        )
    }

    /// How often limits were set, and the last ones.
    pub(super) fn limits(&self) -> (u32, SendLimits) {
        let limited = self.0.limited.load(Acquire);
        let limits = SendLimits {
            longest_ms: self.0.longest_ms.load(Relaxed) as u8,
            bandwidth_bps: self.0.bandwidth_bps.load(Relaxed),
            rtp_bps: self.0.rtp_bps.load(Relaxed),
            codec_bps: self.0.codec_bps.load(Relaxed),
        };
        (limited, limits)
    }
}
