mod changes;
mod rig;

use super::*;
use crate::audio::Content;
use crate::media::CodecKind;
use rig::{Call, FarEnd, G711_FIRST, Phone, USUAL, soon, with_formats};
use rtc::peer_connection::transport::RTCDtlsRole;
use webrtc::peer_connection::SettingEngineBuilder;

/// The value of the first line of `sdp` that begins with `start`.
fn value<'a>(sdp: &'a str, start: &str) -> &'a str {
    sdp.lines()
        .find_map(|line| line.strip_prefix(start))
        .unwrap_or_else(|| panic!("no {start} in\n{sdp}"))
}

/// `o=` session id and version.
fn origin(sdp: &str) -> (u64, u64) {
    let mut words = value(sdp, "o=")
        .split(' ')
        .skip(1)
        .map(|word| word.parse().expect("a number"));
    (words.next().expect("id"), words.next().expect("version"))
}

fn direction(sdp: &str) -> &str {
    ["sendrecv", "sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|name| {
            sdp.lines()
                .any(|line| line.strip_prefix("a=") == Some(name))
        })
        .unwrap_or_else(|| panic!("no direction in\n{sdp}"))
}

#[tokio::test]
async fn opus_goes_both_ways() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    assert_eq!(
        call.negotiated,
        Negotiated {
            codec: CodecKind::Opus,
            payload_type: 111,
            dtmf_payload_type: Some(110),
            noise_payload_type: None,
            sending: true,
            receiving: true,
            frame_ms: 20
        }
    );
    assert_eq!(
        value(&call.answer, "m=audio "),
        "9 UDP/TLS/RTP/SAVPF 111 110"
    );
    assert_eq!(
        (value(&call.answer, "a=setup:"), direction(&call.answer)),
        ("active", "sendrecv")
    );
    assert!(!call.answer.contains("mslabel"), "{}", call.answer);
    call.talk(111).await;
    call.phone
        .event("the first packet", |event| {
            (*event == PeerEvent::FirstPacket).then_some(())
        })
        .await;
    println!(
        "connected {:?} after the answer, {:?} after the offer",
        call.phone.peer.statistics().connect_time,
        call.took
    );
}

#[tokio::test]
async fn g711_goes_both_ways_with_its_own_key_tones() {
    let codecs = [G711_FIRST, &[("audio/CN", 8_000, 0, 13)]].concat();
    let far = FarEnd::new(&codecs, SettingEngineBuilder::new()).await;
    // A browser lists both telephone-events; the stack's own offer cannot.
    let mut call =
        Call::connect_with(far, |offer| with_formats(&offer, "0 111 13 110 126"), true).await;
    assert_eq!(
        (call.negotiated.codec, call.negotiated.payload_type),
        (CodecKind::Pcmu, 0)
    );
    assert_eq!(call.negotiated.dtmf_payload_type, Some(126));
    assert_eq!(
        value(&call.answer, "m=audio "),
        "9 UDP/TLS/RTP/SAVPF 0 13 126"
    );
    call.talk(0).await;
    for (payload_type, content) in [(13, Content::ComfortNoise), (126, Content::Nothing)] {
        call.far.send(payload_type, &[50, 10, 0, 160]).await;
        assert_eq!(call.phone.hear().await.content, content);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_may_trickle_both_ways() {
    let far = FarEnd::usual().await;
    let mut call = Call::connect_with(far, |offer| offer, false).await;
    call.talk(111).await;
}

#[tokio::test]
async fn an_offer_that_says_active_is_answered_passively() {
    // The stack answers `active` with `active`, and both wait for ever.
    let settings = SettingEngineBuilder::new().with_answering_dtls_role(RTCDtlsRole::Client);
    let far = FarEnd::new(USUAL, settings).await;
    let mut call = Call::connect_with(
        far,
        |offer| offer.replace("a=setup:actpass", "a=setup:active"),
        true,
    )
    .await;
    assert_eq!(value(&call.answer, "a=setup:"), "passive");
    call.talk(111).await;
    let (again, _) = call.reoffer(false, |offer| offer).await;
    assert_eq!(
        value(&again, "a=setup:"),
        "passive",
        "the role stays for the life of the association"
    );
}

#[tokio::test]
async fn a_passive_offer_is_answered_actively() {
    let mut call = Call::connect_with(
        FarEnd::usual().await,
        |offer| offer.replace("a=setup:actpass", "a=setup:passive"),
        true,
    )
    .await;
    assert_eq!(value(&call.answer, "a=setup:"), "active");
    call.talk(111).await;
}

#[tokio::test]
async fn holds_are_answered_reversed_and_gate_the_sound() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let (id, first) = origin(&call.answer);
    let directions = [
        ("sendonly", "recvonly", false, true),
        ("inactive", "inactive", false, false),
        ("recvonly", "sendonly", true, false),
        ("sendrecv", "sendrecv", true, true),
        ("inactive", "inactive", false, false),
        ("sendrecv", "sendrecv", true, true),
    ];
    for (index, (offered, answered, sending, receiving)) in directions.into_iter().enumerate() {
        let (answer, negotiated) = call
            .reoffer(false, |offer| {
                offer.replace("a=sendrecv", &format!("a={offered}"))
            })
            .await;
        assert_eq!(direction(&answer), answered);
        assert_eq!(
            (negotiated.sending, negotiated.receiving),
            (sending, receiving),
            "{offered}"
        );
        assert_eq!(
            origin(&answer),
            (id, first + 1 + index as u64),
            "RFC 3264 section 8"
        );
        call.far
            .answer(&answer.replace(&format!("a={answered}"), "a=sendrecv"))
            .await;

        while call.phone.ear.dequeue().is_some() {}
        let _ = call.far.received();
        let before = call.phone.peer.statistics();
        for _ in 0..5 {
            call.phone.speak(&[7; 20]);
            call.far.send(111, &[9; 20]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        soon("what the far end sent", async {
            while call.phone.peer.statistics().packets_received < before.packets_received + 5 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let heard = std::iter::from_fn(|| call.phone.ear.dequeue())
            .filter(|packet| packet.content == Content::Audio)
            .count();
        assert_eq!(heard, if receiving { 5 } else { 0 }, "{offered}");
        let sent = call.phone.peer.statistics().packets_sent - before.packets_sent;
        assert_eq!(sent > 0, sending, "{offered}: {sent}");
        if !sending {
            assert!(call.phone.peer.dtmf("1").await.is_err());
        }
    }
    call.talk(111).await;
}

#[tokio::test]
async fn the_codec_may_change_in_a_call() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let (answer, negotiated) = call
        .reoffer(false, |offer| with_formats(&offer, "8 126"))
        .await;
    assert_eq!(
        (negotiated.codec, negotiated.dtmf_payload_type),
        (CodecKind::Pcma, Some(126)),
        "{answer}"
    );
    call.far.answer(&answer).await;
    // The stack at the far end settles its codecs once and cannot send another itself.
    for _ in 0..3 {
        call.phone.speak(&[8; 160]);
        let packet = call.far.receive().await;
        assert_eq!((packet.header.payload_type, packet.payload.len()), (8, 160));
    }
    call.phone.peer.dtmf("1").await.expect("keys");
    assert_eq!(call.far.receive().await.header.payload_type, 126);
}

#[tokio::test]
async fn the_far_end_may_restart_ice() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let (answer, _) = call.reoffer(true, |offer| offer).await;
    assert_ne!(
        value(&answer, "a=ice-ufrag:"),
        value(&call.answer, "a=ice-ufrag:")
    );
    assert!(
        answer.contains("a=candidate:"),
        "nothing is gathered anew, so the answer must carry them\n{answer}"
    );
    assert!(!answer.contains(" 2 udp "), "{answer}");
    call.far.answer(&answer).await;
    call.phone.state(ConnectionState::Connecting).await;
    call.phone.state(ConnectionState::Connected).await;
    call.talk(111).await;
}

#[tokio::test]
async fn a_changed_source_is_still_heard() {
    // A gateway that moves the call to another of its media servers. The stack drops such packets.
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let before = call.phone.peer.statistics();
    let packet = |sequence_number| rtc::rtp::Packet {
        header: rtc::rtp::Header {
            version: 2,
            payload_type: 111,
            sequence_number,
            ssrc: 77,
            ..Default::default()
        },
        payload: bytes::Bytes::from_static(&[1, 2, 3]),
    };
    for sequence in 0..3 {
        call.phone
            .peer
            .line
            .received(std::time::Instant::now(), &packet(sequence));
    }
    assert_eq!(call.phone.hear().await.ssrc, 77);
    assert_eq!(
        call.phone.peer.statistics().packets_received,
        before.packets_received + 3
    );
}

#[tokio::test]
async fn key_tones_are_right_on_the_wire() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let _ = call.far.received();
    call.phone.peer.dtmf("5#").await.expect("keys");
    let start = Instant::now();
    let mut packets = Vec::new();
    let sent = loop {
        call.phone.speak(&[3; 25]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        packets.extend(call.far.received());
        if let Ok(PeerEvent::DtmfSent) = call.phone.events.try_recv() {
            break start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(5), "no DtmfSent");
    };
    call.phone.speak(&[3; 25]);
    while packets
        .last()
        .is_none_or(|packet: &rtc::rtp::Packet| packet.header.payload_type != 111)
    {
        packets.push(call.far.receive().await);
    }
    let sequences: Vec<u16> = packets
        .iter()
        .map(|packet| packet.header.sequence_number)
        .collect();
    let gapless: Vec<u16> = (0..packets.len() as u16)
        .map(|index| sequences[0].wrapping_add(index))
        .collect();
    assert_eq!(sequences, gapless, "one sequence for audio and keys");
    assert!(
        packets
            .iter()
            .all(|packet| packet.header.ssrc == packets[0].header.ssrc),
        "one source"
    );
    let keys: Vec<_> = packets
        .iter()
        .filter(|packet| packet.header.payload_type == 110)
        .collect();
    assert_eq!(keys.len(), 14);
    for (key, event) in keys.chunks(7).zip([5, 11]) {
        assert!(key.iter().all(|packet| packet.payload[0] == event));
        assert!(
            key.iter()
                .all(|packet| packet.header.timestamp == key[0].header.timestamp)
        );
        let markers: Vec<_> = key.iter().map(|packet| packet.header.marker).collect();
        assert_eq!(markers, [true, false, false, false, false, false, false]);
        let ends: Vec<_> = key
            .iter()
            .map(|packet| packet.payload[1] & 0x80 != 0)
            .collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        let lengths: Vec<_> = key
            .iter()
            .map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]]))
            .collect();
        assert_eq!(lengths, [960, 1920, 2880, 3840, 4800, 4800, 4800]);
        // Silent from the key's first packet to its last.
        let of_key = |wanted: u16| {
            sequences
                .iter()
                .position(|sequence| *sequence == wanted)
                .expect("sent")
        };
        assert_eq!(
            of_key(key[6].header.sequence_number) - of_key(key[0].header.sequence_number),
            6
        );
    }
    let apart = keys[7]
        .header
        .timestamp
        .wrapping_sub(keys[0].header.timestamp);
    assert!(
        (48 * 150..48 * 260).contains(&apart),
        "100 ms and a gap of 70, not {apart} ticks"
    );
    assert!(sent >= Duration::from_millis(310), "{sent:?}");
}

#[tokio::test]
async fn key_tones_are_refused_where_they_cannot_go() {
    let far = FarEnd::new(&USUAL[..3], SettingEngineBuilder::new()).await;
    let call = Call::connect(far).await;
    assert_eq!(call.negotiated.dtmf_payload_type, None);
    assert_eq!(value(&call.answer, "m=audio "), "9 UDP/TLS/RTP/SAVPF 111");
    assert_eq!(
        call.phone.peer.dtmf("1").await,
        Err(MediaError::NoTelephoneEvent)
    );
    assert_eq!(
        call.phone.peer.dtmf("x").await,
        Err(MediaError::NoSuchKey('x'))
    );
}

#[tokio::test]
async fn what_cannot_be_answered_fails_with_its_reason() {
    let offer = FarEnd::usual().await.offer(true, false).await;
    for (text, expected) in [
        ("garbage".to_owned(), "not valid SDP"),
        (offer.replace("m=audio", "m=video"), "no audio"),
        (with_formats(&offer, "110"), "telephone-event/48000"),
    ] {
        let mut phone = Phone::open(text).await;
        let error = phone
            .event("a failure", |event| match event {
                PeerEvent::Failed(error) => Some(error.clone()),
                _ => None,
            })
            .await;
        assert!(error.to_string().contains(expected), "{error}");
        assert!(phone.peer.dtmf("1").await.is_err());
        // The port comes back whole, for the next call.
        assert_eq!(soon("the port", phone.peer.close()).await.stream, 2);
    }
}

#[tokio::test]
async fn a_bad_reoffer_leaves_the_call_as_it_was() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.phone.peer.renegotiate("nonsense".to_owned()).await;
    call.phone
        .event("a failure", |event| {
            matches!(event, PeerEvent::Failed(_)).then_some(())
        })
        .await;
    call.talk(111).await;
}

#[tokio::test]
async fn closing_gives_the_port_back_and_tells_the_far_end() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    call.phone.speak(&[1; 10]);
    let port = soon("the port", call.phone.peer.close()).await;
    assert_eq!(port.stream, 2);
    assert!(port.inbound.ready());
    // The far end is the plain stack, which knows of a close_notify only by its DTLS state.
    let sender = call.far.connection.get_senders().await.remove(0);
    let transport = sender.transport().await.expect("far end").expect("started");
    soon("the far end's end", async {
        while transport.state().await != Ok(RTCDtlsTransportState::Closed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_far_ends_goodbye_is_noticed_at_once() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let start = Instant::now();
    call.far.connection.close().await.expect("far end");
    call.phone.state(ConnectionState::Closed).await;
    let took = start.elapsed();
    println!("the far end's close was noticed after {took:?}");
    // ICE alone would say `disconnected` after 5 s.
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(
        call.phone.peer.statistics().connection,
        ConnectionState::Closed
    );
    assert_eq!(soon("the port", call.phone.peer.close()).await.stream, 2);
}

#[tokio::test]
async fn closing_before_anything_connected_is_quick() {
    let offer = FarEnd::usual().await.offer(true, false).await;
    let mut phone = Phone::open(offer.clone()).await;
    let _ = phone.answer().await;
    let start = Instant::now();
    assert_eq!(soon("the port", phone.peer.close()).await.stream, 2);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    // At once, without waiting for the answer.
    assert_eq!(
        soon("the port", Phone::open(offer).await.peer.close())
            .await
            .stream,
        2
    );
}

#[tokio::test]
async fn stale_sound_is_thrown_away_before_the_connection() {
    let mut far = FarEnd::usual().await;
    let mut phone = Phone::open(far.offer(true, false).await).await;
    for _ in 0..30 {
        phone.speak(&[1; 10]);
    }
    let (answer, _) = phone.answer().await;
    soon("an empty queue", async {
        while !phone.microphone.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    far.answer(&answer).await;
    phone.trickle_to(&far).await;
    phone.state(ConnectionState::Connected).await;
    phone.speak(&[2; 10]);
    assert_eq!(far.receive().await.payload[0], 2);
}

#[tokio::test]
async fn reports_go_both_ways() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    let start = Instant::now();
    let statistics = loop {
        call.phone.speak(&[1; 40]);
        call.far.send(111, &[2; 40]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        while call.phone.ear.dequeue().is_some() {}
        let statistics = call.phone.peer.statistics();
        if statistics.rtt_count >= 2 {
            break statistics;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "{statistics:?}");
    };
    let rtt = statistics.rtt_ms.expect("measured");
    assert!((0.0..500.0).contains(&rtt), "{rtt}");
    assert_eq!(statistics.remote_loss_percent, Some(0.0));
    assert_eq!(statistics.packets_lost, 0);
    assert_eq!(statistics.queue_drops, 0);
}

#[tokio::test]
async fn a_full_queue_is_counted_not_waited_for() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    for _ in 0..80 {
        call.far.send(111, &[2; 40]).await;
    }
    soon("all packets", async {
        while call.phone.peer.statistics().packets_received < 80 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let kept = std::iter::from_fn(|| call.phone.ear.dequeue()).count() as u64;
    assert_eq!(kept + call.phone.peer.statistics().queue_drops, 80);
    assert_eq!(kept, crate::audio::PACKET_QUEUE as u64 - 1);
}
