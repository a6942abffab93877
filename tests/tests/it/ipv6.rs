//! A cloud that is reached by IPv6 alone: REST, streaming and media.

use offhook::device::config::Config;
use offhook_cloudsim::gateway::LegConfig;
use offhook_cloudsim::spec::{Form, InboundSpec, Options, UserSpec};
use offhook_tests::{PhoneOptions, Rig};

fn ipv6(config: &mut Config) {
    config.cloud.ipv6 = true;
}

/// Without `cloud.ipv6` the phone has no address the gateway could send to.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_over_ipv6() {
    for form in [Form::SdpOverXmpp, Form::Jingle] {
        let cloud = Options {
            listen: "[::1]:0".parse().unwrap(),
            ..Options::default()
        };
        let options = PhoneOptions {
            change: Some(ipv6),
            ..PhoneOptions::default()
        };
        let rig = Rig::with(cloud, UserSpec::named("Agent One"), options).await;
        let call = rig
            .answered(&InboundSpec {
                form,
                leg: LegConfig {
                    ipv6: true,
                    ..LegConfig::default()
                },
                ..InboundSpec::to(&rig.user)
            })
            .await;
        rig.sound_goes_on(&call).await;
        rig.wait_media(&call, |leg| leg.packets_in > 25).await;
        rig.hang_up(&call).await;
        rig.end().await;
    }
}
