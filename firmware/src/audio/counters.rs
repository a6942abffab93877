//! Counters the audio thread writes and anyone reads. One writer each, so relaxed stores are enough; a reader may
//! see one field a period older than its neighbour.

use super::sleeper::Sleeper;
use super::{AudioCounters, MAX_STREAMS, StreamCounters};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// What [`super::Engine`] and [`super::Control`] share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Periods processed.
    pub periods: AtomicU64,
    /// Signs of life: one each period, and one each look at a device that stands still.
    pub beats: AtomicU64,
    /// Under- and overruns.
    pub xruns: AtomicU64,
    /// Commands refused; written by `Control`.
    pub commands_dropped: AtomicU64,
    /// Frames that found a full queue.
    pub frames_dropped: AtomicU64,
    /// Microphone's level, dBFS, `f32` bits.
    pub mic_dbfs: AtomicU32,
    /// Ear's level, dBFS, `f32` bits.
    pub ear_dbfs: AtomicU32,
    /// Wakes an idle audio thread.
    pub sleeper: Arc<Sleeper>,
    /// Per stream.
    pub streams: [StreamCells; MAX_STREAMS],
}

impl Shared {
    /// A snapshot.
    pub fn audio(&self) -> AudioCounters {
        AudioCounters {
            periods: self.periods.load(Relaxed),
            xruns: self.xruns.load(Relaxed),
            commands_dropped: self.commands_dropped.load(Relaxed),
            frames_dropped: self.frames_dropped.load(Relaxed),
        }
    }
}

macro_rules! cells {
    ($($field:ident: $cell:ty, $to:expr, $from:expr;)*) => {
        /// [`StreamCounters`] as atomics.
        #[derive(Debug, Default)]
        pub struct StreamCells {
            $($field: $cell,)*
        }

        impl StreamCells {
            /// The audio thread's side.
            pub fn publish(&self, counters: &StreamCounters) {
                $(self.$field.store($to(counters.$field), Relaxed);)*
            }

            /// Everyone else's side.
            pub fn snapshot(&self) -> StreamCounters {
                StreamCounters { $($field: $from(self.$field.load(Relaxed)),)* }
            }
        }
    };
}

fn same<T>(value: T) -> T {
    value
}

cells! {
    active: AtomicBool, same, same;
    packets: AtomicU64, same, same;
    late: AtomicU64, same, same;
    lost: AtomicU64, same, same;
    duplicate: AtomicU64, same, same;
    reordered: AtomicU64, same, same;
    refused: AtomicU64, same, same;
    concealed_samples: AtomicU64, same, same;
    fec_recovered: AtomicU64, same, same;
    stretched_samples: AtomicU64, same, same;
    restarts: AtomicU64, same, same;
    delay_ms: AtomicU32, f32::to_bits, f32::from_bits;
    mean_delay_ms: AtomicU32, f32::to_bits, f32::from_bits;
    target_ms: AtomicU32, f32::to_bits, f32::from_bits;
    frames_sent: AtomicU64, same, same;
    frames_dropped: AtomicU64, same, same;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_what_was_published() {
        let counters = StreamCounters {
            active: true,
            packets: 1,
            late: 2,
            lost: 3,
            duplicate: 4,
            reordered: 5,
            refused: 6,
            concealed_samples: 7,
            fec_recovered: 8,
            stretched_samples: 9,
            restarts: 10,
            delay_ms: 11.5,
            mean_delay_ms: 12.5,
            target_ms: 13.5,
            frames_sent: 14,
            frames_dropped: 15,
        };
        let cells = StreamCells::default();
        cells.publish(&counters);
        assert_eq!(cells.snapshot(), counters);
    }
}
