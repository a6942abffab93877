//! The gateway's packets on their way to the phone: at once, or as a described network would bring them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rtc::rtp::Packet;
use tokio::time::{Instant, sleep_until};
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::network::{Network, Way};
use super::report::Delivery;

/// Milliseconds of sound in a packet.
pub(super) const PACKET_MS: usize = 20;

pub(super) struct Sender {
    track: Arc<TrackLocalStaticRTP>,
    network: Option<OnTheWay>,
}

struct OnTheWay {
    way: Way,
    pace_ms: f64,
    /// When the first was sent: the others follow on an absolute raster, however late a tick is.
    began: Option<Instant>,
    sent: u64,
    /// By their arrival, with the number each was sent as.
    packets: BTreeMap<(Instant, u64), Packet>,
    delivery: Delivery,
}

impl Sender {
    pub(super) fn new(track: Arc<TrackLocalStaticRTP>, network: Option<&Network>) -> Self {
        let network = network.map(|network| OnTheWay {
            way: network.way(),
            pace_ms: network.pace_ms(PACKET_MS),
            began: None,
            sent: 0,
            packets: BTreeMap::new(),
            delivery: Delivery::default(),
        });
        Self { track, network }
    }

    /// Time between two packets.
    pub(super) fn pace(&self) -> Duration {
        let nominal = Duration::from_millis(PACKET_MS as u64);
        let network = self.network.as_ref();
        network.map_or(nominal, |one| Duration::from_secs_f64(one.pace_ms / 1e3))
    }

    pub(super) async fn send(&mut self, packet: Packet) -> Result<()> {
        let Some(network) = &mut self.network else {
            self.track.write_rtp(packet).await?;
            return Ok(());
        };
        let began = *network.began.get_or_insert_with(Instant::now);
        let sent_ms = network.sent as f64 * network.pace_ms;
        match network.way.packet(sent_ms) {
            Some(delay_ms) => {
                let arrives = began + Duration::from_secs_f64((sent_ms + delay_ms) / 1e3);
                network.packets.insert((arrives, network.sent), packet);
            }
            None => network.delivery.lost += 1,
        }
        network.sent += 1;
        Ok(())
    }

    /// What the network did so far, if there is one.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        self.network.as_ref().map(|network| network.delivery)
    }

    /// Returns when a packet is to be delivered; never, if none is on its way.
    pub(super) async fn due(&self) {
        let network = self.network.as_ref();
        match network.and_then(|network| network.packets.keys().next()) {
            Some((arrives, _)) => sleep_until(*arrives).await,
            None => std::future::pending().await,
        }
    }

    /// Delivers the packet whose time has come.
    pub(super) async fn deliver(&mut self) -> Result<()> {
        let Some(network) = &mut self.network else {
            return Ok(());
        };
        if let Some(((_, number), packet)) = network.packets.pop_first() {
            network.count(number);
            self.track.write_rtp(packet).await?;
        }
        Ok(())
    }
}

impl OnTheWay {
    /// By the clock, not by the plan: a loaded machine is a slow network too.
    fn count(&mut self, number: u64) {
        let took = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        let took_ms = took.as_secs_f64() * 1e3 - number as f64 * self.pace_ms;
        let Delivery {
            delivered,
            least_ms,
            total_ms,
            ..
        } = &mut self.delivery;
        *least_ms = if *delivered == 0 {
            took_ms
        } else {
            least_ms.min(took_ms)
        };
        *delivered += 1;
        *total_ms += took_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::LegConfig;
    use crate::gateway::native::track;

    /// Sends a stream for its network's time; returns what was delivered, as the order it was sent in.
    async fn deliver(network: &str) -> (Vec<u16>, Delivery) {
        let network: Network = serde_json::from_str(network).unwrap();
        let track = Arc::new(track(&LegConfig::default(), 1));
        let mut sender = Sender::new(track, Some(&network));
        let (mut order, mut sent) = (Vec::new(), 0);
        let mut ticks = tokio::time::interval(sender.pace());
        let packets = network.seconds * 1000 / PACKET_MS;
        while order.len() + (sender.delivery().unwrap().lost as usize) < packets {
            tokio::select! {
                () = sender.due() => {
                    let on_the_way = &sender.network.as_ref().unwrap().packets;
                    order.push(on_the_way.values().next().unwrap().header.sequence_number);
                    // The track is nobody's: the error says so.
                    let _ = sender.deliver().await;
                }
                _ = ticks.tick(), if usize::from(sent) < packets => {
                    let mut packet = Packet::default();
                    packet.header.sequence_number = sent;
                    sent += 1;
                    sender.send(packet).await.unwrap();
                }
            }
        }
        (order, sender.delivery().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn packets_come_when_the_network_brings_them() {
        let (order, delivery) =
            deliver(r#"{"name":"far","seed":7,"seconds":10,"least_ms":200.0}"#).await;
        assert_eq!(order, (0..500).collect::<Vec<u16>>());
        let mean = delivery.total_ms / delivery.delivered as f64;
        assert!((199.9..202.0).contains(&delivery.least_ms), "{delivery:?}");
        assert!((199.9..202.0).contains(&mean), "{delivery:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn packets_overtake_one_another_and_get_lost() {
        let bad = r#"{"name":"bad","seed":7,"seconds":20,"least_ms":1.0,"exponential_ms":30.0,"loss_percent":10.0}"#;
        let (order, delivery) = deliver(bad).await;
        assert!(!order.is_sorted(), "none overtook another");
        assert_eq!(delivery.delivered + delivery.lost, 1000);
        assert!((70..130).contains(&delivery.lost), "{delivery:?}");
        let (again, _) = deliver(bad).await;
        assert_eq!(order, again, "the same seed brings the same");
    }
}
