//! How well a call is heard: the mean opinion score and the report of it (genesys-protocol 5.8).
//!
//! The figures come from media every five seconds, counted from the beginning of the peer connection. A session may
//! carry many calls, so each report counts from the beginning of its call.

use super::Softphone;
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::signal::{Form, Reply, StatisticsReport};
use crate::media::Statistics;

/// The figures of a session, and of its present call.
#[derive(Debug, Default)]
pub(super) struct Quality {
    latest: Statistics,
    /// When `sessionStarted` was emitted last.
    baseline: Statistics,
    /// Of the jitter since then, milliseconds.
    jitter_sum: f64,
    ticks: u32,
}

impl Quality {
    /// Another call begins.
    pub(super) fn begin(&mut self) {
        *self = Self {
            latest: self.latest,
            baseline: self.latest,
            ..Self::default()
        };
    }

    fn add(&mut self, latest: Statistics) {
        self.latest = latest;
        self.jitter_sum += latest.jitter_ms;
        self.ticks += 1;
    }

    /// Those of the call, its jitter the running mean.
    fn of_call(&self) -> Statistics {
        Statistics {
            jitter_ms: self.jitter_sum / f64::from(self.ticks.max(1)),
            ..self.latest.since(&self.baseline)
        }
    }
}

/// Estimated mean opinion score by Genesys's formula (genesys-protocol 5.8), 1.0..=5.0, two decimals.
pub fn mos(statistics: &Statistics) -> f64 {
    let received = statistics.packets_received as f64;
    let loss = if received > 0.0 {
        statistics.packets_lost.max(0) as f64 / received
    } else {
        0.0
    };
    let latency_ms = if statistics.rtt_count > 0 {
        statistics.rtt_total_ms / f64::from(statistics.rtt_count) / 2.0
    } else {
        0.0
    };
    let effective = latency_ms + 2.0 * statistics.jitter_ms + 10.0;
    let delay_impairment = if effective < 160.0 {
        effective / 40.0
    } else {
        (effective - 120.0) / 10.0
    };
    let r = 93.2 - delay_impairment - 250.0 * loss;
    let score = if r < 0.0 {
        1.0
    } else {
        (1.0 + 0.035 * r + 0.000_007 * r * (r - 60.0) * (100.0 - r)) * 5.0 / 4.5
    };
    (score * 100.0).round() / 100.0
}

impl Softphone {
    /// New figures of a session. Nothing depends on them but the report.
    pub(super) fn on_statistics(&mut self, id: &SessionId, latest: Statistics) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        session.quality.add(latest);
        if !self.config.report_statistics || !self.streaming {
            return;
        }
        if let Some(report) = self.report(id) {
            self.signal(Reply::Statistics(Box::new(report)));
        }
    }

    /// A report while a call is on the session; none of an eager one that waits for its first (5.8). Sessions by Jingle
    /// have no JSON-RPC.
    fn report(&self, id: &SessionId) -> Option<StatisticsReport> {
        let session = self.session(id)?;
        if session.eager || session.form != Form::SdpOverXmpp {
            return None;
        }
        let call = self.call(&session.conversation)?;
        let known = call.known.as_ref()?;
        if call.session.as_ref() != Some(id) || !call.is_connected() {
            return None;
        }
        let figures = session.quality.of_call();
        Some(StatisticsReport {
            session: id.clone(),
            to: session.peer.clone(),
            conversation: ConversationId::clone(&session.conversation),
            // 5.8: the first call of our participant.
            communication: known.participant.calls.first()?.id.clone(),
            packets_received: figures.packets_received,
            average_jitter: figures.jitter_ms / 1000.0,
            average_mos: mos(&figures),
            reconnects: session.reconnects,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::mos;
    use crate::media::Statistics;

    fn statistics(lost: i64, jitter_ms: f64, rtt_ms: f64) -> Statistics {
        Statistics {
            packets_received: 1000,
            packets_lost: lost,
            jitter_ms,
            rtt_total_ms: rtt_ms * 4.0,
            rtt_count: 4,
            ..Statistics::default()
        }
    }

    #[test]
    fn mos_follows_the_references_formula() {
        for (lost, jitter, rtt, expected) in [
            (0, 0.0, 0.0, 4.9),
            (0, 2.0, 23.1, 4.89),
            (50, 2.0, 100.0, 4.43),
            (0, 60.0, 400.0, 4.11),
            (900, 0.0, 0.0, 1.0),
        ] {
            let score = mos(&statistics(lost, jitter, rtt));
            assert!(
                (score - expected).abs() < 0.02,
                "{lost} {jitter} {rtt}: {score}"
            );
        }
    }
}
