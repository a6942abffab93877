//! The card image on an emulated machine: started, worked by its pins, and by a page whose keys are those pins.
//!
//! Needs `cross/image qemu-virt` and QEMU.

mod card;
mod machine;
mod page;
mod pins;
mod power;
mod sound;

pub use card::{Fault, bundle, damaged, repository, serve};
pub use machine::{Machine, PATIENCE};
pub use page::Page;
pub use pins::{LABELS, bits};
pub use power::Clock;

use offhook_cloudsim::gateway::{Codec, FarEndSource, LegConfig};
use offhook_cloudsim::spec::{Options, OutboundSpec};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Where the guest reaches the host's loopback.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));
/// What the far end says, Hz.
pub const FAR_END: f32 = 1000.0;

/// A cloud that an emulated phone reaches; called parties answer after 2 s.
pub fn cloud() -> Options {
    Options {
        reached_at: Some(HOST),
        outbound: OutboundSpec {
            answer_after: Some(Duration::from_secs(2)),
            leg: leg(),
            ..OutboundSpec::default()
        },
        default_leg: leg(),
        ..Options::default()
    }
}

/// A gateway that prefers the codec an emulated processor has time for.
pub fn leg() -> LegConfig {
    LegConfig {
        codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::Opus],
        far_end: FarEndSource::Tone {
            hz: FAR_END,
            dbfs: -20.0,
        },
        reached_at: Some(HOST),
        ..LegConfig::default()
    }
}
