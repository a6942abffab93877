use super::*;
use crate::media::sdp::{LocalSide, Origin, answer};
use proptest::prelude::*;

const FINGERPRINT: &str = "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

/// The gateway's sort of offer (genesys-protocol 5.6) with `formats`, and `lines` in the audio section.
fn offer_with(formats: &str, lines: &[&str]) -> String {
    let mut text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:audio\r\na=ice-ufrag:Xy4d\r\n\
         a=ice-pwd:0123456789abcdefghijkl\r\na=fingerprint:{FINGERPRINT}\r\na=rtcp-mux\r\n"
    );
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text
}

const OPUS: &str = "a=rtpmap:111 opus/48000/2";
const OPUS_FMTP: &str = "a=fmtp:111 minptime=20;useinbandfec=1";
const EVENT_48: &str = "a=rtpmap:110 telephone-event/48000";
const EVENT_8: &str = "a=rtpmap:126 telephone-event/8000";

fn parse(text: &str) -> Offer {
    Offer::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn the_first_codec_we_have_is_chosen_with_its_telephone_event() {
    let check = |formats: &str, lines: &[&str], codec, payload_type, event| {
        let offer = parse(&offer_with(formats, lines));
        assert_eq!(
            (offer.codec, offer.payload_type, offer.dtmf_payload_type()),
            (codec, payload_type, event),
            "{formats}"
        );
    };
    let all = [OPUS, EVENT_48, EVENT_8];
    check("111 0 8 110 126", &all, CodecKind::Opus, 111, Some(110));
    check("0 8 111 110 126", &all, CodecKind::Pcmu, 0, Some(126));
    check("8 0 126", &all, CodecKind::Pcma, 8, Some(126));
    // Key tones at another clock rate than the audio's cannot share its timestamps.
    check("111 126", &all, CodecKind::Opus, 111, None);
    check("0 110", &all, CodecKind::Pcmu, 0, None);
    check("111", &all, CodecKind::Opus, 111, None);
    // Codecs we lack come first; names in any case; dynamic payload types for G.711.
    let strange = [
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:96 OPUS/48000/2",
        "a=rtpmap:97 pcma/8000",
    ];
    check("9 96 97", &strange, CodecKind::Opus, 96, None);
    check("9 97 96", &strange, CodecKind::Pcma, 97, None);
    check("300 x 111", &all, CodecKind::Opus, 111, None);
}

/// While it was not answered, a far end that keeps to what was agreed on never sent any.
#[test]
fn comfort_noise_is_answered_beside_g711() {
    let check = |formats: &str, lines: &[&str], payload_type, answered: &str| {
        let offer = parse(&offer_with(formats, lines));
        assert_eq!(offer.noise_payload_type, payload_type, "{formats}");
        let text = answer(&offer, &local(), &origin());
        assert!(
            text.contains(&format!(" UDP/TLS/RTP/SAVPF {answered}\r\n")),
            "{text}"
        );
        let map = payload_type.map(|number| format!("a=rtpmap:{number} CN/8000\r\n"));
        assert!(map.is_none_or(|map| text.contains(&map)), "{text}");
        assert_eq!(text.contains("CN/"), payload_type.is_some(), "{text}");
    };
    let lines = [OPUS, EVENT_8, "a=rtpmap:98 cn/8000", "a=rtpmap:99 CN/16000"];
    check("0 8 13 126", &lines, Some(13), "0 13 126");
    check("8 98", &lines, Some(98), "8 98");
    check("0 13", &["a=rtpmap:13 CN/8000"], Some(13), "0 13");
    // Nothing that was not offered, at no other rate, and not beside Opus, which has its own.
    check("0 126", &lines, None, "0 126");
    check("0 99", &lines, None, "0");
    check("111 0 13", &lines, None, "111");
}

#[test]
fn what_cannot_be_answered_says_why() {
    let check = |text: &str, expected: &str| {
        let error = Offer::parse(text).expect_err(text);
        assert!(
            error.to_string().contains(expected),
            "{error} has no {expected:?}"
        );
    };
    check("", "begin with v=0");
    check("hello", "begin with v=0");
    check(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
        "no audio",
    );
    check(
        &offer_with("111", &[OPUS]).replace("m=audio", "m=video"),
        "no audio",
    );
    check(
        &offer_with("111", &[OPUS]).replace("m=audio 9", "m=audio 0"),
        "no audio",
    );
    check(
        &offer_with("9 96", &["a=rtpmap:9 G722/8000", "a=rtpmap:96 speex/16000"]),
        "g722/8000, speex/16000",
    );
    check(&offer_with("", &[]), "it has: none");
    check(
        &offer_with("111", &["a=rtpmap:111 opus/44100/2"]),
        "opus/44100",
    );
    check(
        &offer_with("0", &[]).replace("a=ice-ufrag", "a=ice-other"),
        "ice-ufrag",
    );
    check(&offer_with("0", &[]).replace("Xy4d", "a b\tc"), "malformed");
    check(
        &offer_with("0", &[]).replace("sha-256", "sha-1"),
        "fingerprint",
    );
    check(
        &offer_with("0", &[]).replace("EE:FF\r\n", "EE:F\r\n"),
        "fingerprint",
    );
    check(&offer_with("0", &["a=setup:sideways"]), "a=setup");
    check(
        &offer_with("0", &[]).replace("m=audio 9 UDP/TLS/RTP/SAVPF 0", "m=audio"),
        "media line",
    );
    check(
        &format!("v=0\r\n{}", "a=x\r\n".repeat(20_000)),
        "bytes are more",
    );
}

#[test]
fn a_bundle_only_section_is_not_a_rejected_one() {
    let text = offer_with("0", &["a=bundle-only"]).replace("m=audio 9", "m=audio 0");
    assert_eq!(parse(&text).codec, CodecKind::Pcmu);
}

#[test]
fn transport_may_stand_at_the_session_level() {
    let text = format!(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\na=ice-lite\na=ice-ufrag:Xy4d\na=ice-pwd:0123456789abcdefghijkl\n\
         a=fingerprint:{FINGERPRINT}\na=setup:passive\na=sendonly\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n"
    );
    let offer = parse(&text);
    assert!(offer.ice_lite);
    assert_eq!(
        (offer.setup, offer.direction, offer.mid()),
        (Setup::Passive, Direction::SendOnly, "audio")
    );
    let answer = answer(&offer, &local(), &origin());
    assert!(
        !answer.contains("a=mid") && !answer.contains("BUNDLE"),
        "{answer}"
    );
}

#[test]
fn the_frame_length_follows_the_offer() {
    let check = |lines: &[&str], wanted, expected| {
        let mut all = vec![OPUS];
        all.extend(lines);
        assert_eq!(
            parse(&offer_with("111", &all)).frame_ms(wanted),
            expected,
            "{lines:?} {wanted}"
        );
    };
    check(&[], 20, 20);
    check(&[], 10, 10);
    check(&["a=ptime:40"], 20, 40);
    check(&["a=ptime:10"], 20, 10);
    check(&["a=ptime:30"], 20, 20);
    check(&["a=ptime:60", "a=maxptime:40"], 20, 40);
    check(&["a=maxptime:10"], 20, 10);
    check(&[OPUS_FMTP], 10, 20);
    check(&["a=ptime:5"], 20, 10);
    check(&["a=ptime:120"], 20, 60);
    check(&["a=maxptime:5"], 20, 10);
    check(&["a=ptime:x", "a=maxptime:-1"], 20, 20);
}

/// What the far end had room for was not read, and it got 60 kbit/s whatever it said.
#[test]
fn what_may_be_sent_is_what_the_offer_says() {
    const AVERAGE: &str = "a=fmtp:111 minptime=10;maxaveragebitrate=24000;useinbandfec=1";
    let none = SendLimits {
        longest_ms: 60,
        ..SendLimits::default()
    };
    let cases: [(&[&str], SendLimits); 14] = [
        (&[OPUS], none),
        (
            &[OPUS, "b=AS:32"],
            SendLimits {
                bandwidth_bps: 32_000,
                ..none
            },
        ),
        (
            &[OPUS, "b=AS:32", "b=AS:64", "b=CT:1", "b=RS:2", "b=RR:3"],
            SendLimits {
                bandwidth_bps: 32_000,
                ..none
            },
        ),
        (
            &[OPUS, "b=TIAS:24000", "b=AS:40"],
            SendLimits {
                bandwidth_bps: 40_000,
                rtp_bps: 24_000,
                ..none
            },
        ),
        (
            &[OPUS, AVERAGE],
            SendLimits {
                codec_bps: 24_000,
                ..none
            },
        ),
        // Of Opus, which was not chosen.
        (&["b=TIAS:0", AVERAGE], none),
        (&[OPUS, "b=AS:0"], none),
        (&[OPUS, "b=AS:-1", "b=TIAS:x", "b=AS", "b=ASK:3"], none),
        (
            &[OPUS, "b=AS:4294967295"],
            SendLimits {
                bandwidth_bps: u32::MAX,
                ..none
            },
        ),
        (&[OPUS, "b=AS:4294967296"], none),
        (
            &[OPUS, "a=maxptime:40"],
            SendLimits {
                longest_ms: 40,
                ..none
            },
        ),
        (
            &[OPUS, "a=maxptime:30"],
            SendLimits {
                longest_ms: 20,
                ..none
            },
        ),
        (
            &[OPUS, "a=maxptime:5"],
            SendLimits {
                longest_ms: 10,
                ..none
            },
        ),
        (&[OPUS, "a=maxptime:200"], none),
    ];
    for (lines, expected) in cases {
        let formats = if lines.contains(&OPUS) { "111" } else { "0" };
        let offer = parse(&offer_with(formats, lines));
        assert_eq!(offer.send_limits(60), expected, "{lines:?}");
    }
    let offer = parse(&offer_with("111", &[OPUS, "a=maxptime:40"]));
    assert_eq!(offer.send_limits(20).longest_ms, 20, "the configuration's");
    // The session's, unless the section has its own.
    let session = |lines: &[&str]| {
        let text = offer_with("111", lines).replace("t=0 0", "t=0 0\r\nb=AS:50");
        parse(&text).send_limits(60).bandwidth_bps
    };
    assert_eq!(session(&[OPUS]), 50_000);
    assert_eq!(session(&[OPUS, "b=AS:32"]), 32_000);
}

#[test]
fn the_stack_sees_one_plain_section() {
    let text = offer_with(
        "0 8 111 110 126",
        &[
            OPUS,
            OPUS_FMTP,
            EVENT_48,
            EVENT_8,
            "a=setup:active",
            "a=inactive",
            "a=candidate:1 1 udp 2113937151 192.0.2.5 50000 typ host",
            "a=candidate:1 2 udp 2113937150 192.0.2.5 50001 typ host",
            "a=candidate:2 1 tcp 1 192.0.2.5 9 typ host tcptype active",
            "a=candidate:3 1 udp 1 4ab3.local 50000 typ host",
            "m=video 9 UDP/TLS/RTP/SAVPF 96",
            "a=mid:video",
        ],
    );
    let plain = parse(&text).for_stack();
    let body = plain.split_once("m=audio").expect("a section").1;
    assert_eq!(
        body,
        format!(
            " 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\na=mid:audio\r\na=ice-ufrag:Xy4d\r\n\
             a=ice-pwd:0123456789abcdefghijkl\r\na=fingerprint:{FINGERPRINT}\r\na=setup:actpass\r\na=sendrecv\r\n\
             a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
             a=rtpmap:110 telephone-event/48000\r\n\
             a=candidate:1 1 udp 2113937151 192.0.2.5 50000 typ host\r\n"
        )
    );
}

fn local() -> LocalSide {
    LocalSide {
        ufrag: "local".into(),
        pwd: "localpasswordlocalpass".into(),
        fingerprint: FINGERPRINT.into(),
        candidates: vec![],
    }
}

fn origin() -> Origin {
    Origin {
        session: 42,
        version: 3,
        ssrc: 1234,
        cname: "cafe".into(),
        setup: Setup::Active,
    }
}

#[test]
fn the_answer_reverses_a_hold() {
    for (offered, answered) in [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ] {
        let offer = parse(&offer_with("0", &[&format!("a={offered}")]));
        let text = answer(&offer, &local(), &origin());
        let directions: Vec<_> = text
            .lines()
            .filter_map(Direction::parse)
            .map(Direction::name)
            .collect();
        assert_eq!(directions, [answered]);
    }
}

#[test]
fn the_answer_keeps_order_and_rejects_the_rest() {
    let text = offer_with(
        "111 110",
        &[OPUS, EVENT_48, "a=fmtp:110 0-16", "a=rtcp-rsize"],
    )
    .replace(
        "m=audio",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\nm=audio",
    ) + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:data\r\n";
    let offer = parse(&text);
    assert_eq!(
        answer(&offer, &local(), &origin()),
        format!(
            "v=0\r\no=- 42 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\na=msid-semantic: WMS *\r\n\
             m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:local\r\na=ice-pwd:localpasswordlocalpass\r\na=ice-options:trickle\r\n\
             a=fingerprint:{FINGERPRINT}\r\na=setup:active\r\na=mid:audio\r\na=sendrecv\r\na=msid:offhook audio\r\n\
             a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
             a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\na=ssrc:1234 cname:cafe\r\n\
             m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\n"
        )
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Offer::parse(&text);
        let _ = Offer::parse(&format!("v=0\r\nm=audio {text}"));
    }

    /// A right offer with lines doubled, dropped, cut and swapped either fails with an error, or makes a plain offer
    /// that reads back the same and an answer with as many sections.
    #[test]
    fn a_damaged_offer_is_read_or_refused(
        damage in proptest::collection::vec((0usize..40, 0usize..40, 0usize..60), 0..6),
        direction in prop::sample::select(vec!["a=sendrecv", "a=sendonly", "a=inactive", ""]),
    ) {
        let text = offer_with("111 0 8 110 126", &[OPUS, OPUS_FMTP, EVENT_48, EVENT_8, direction, "a=ptime:20",
            "a=candidate:1 1 udp 2113937151 192.0.2.5 50000 typ host", "m=video 0 X 96"]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (from, to, cut) in damage {
            let (from, to) = (from % lines.len(), to % lines.len());
            lines.swap(from, to);
            let line = lines[from].clone();
            lines.insert(to, line.chars().take(cut).collect());
        }
        if let Ok(offer) = Offer::parse(&lines.join("\r\n")) {
            let plain = Offer::parse(&offer.for_stack()).expect("a plain offer is right");
            prop_assert_eq!((&plain.ufrag, plain.mid()), (&offer.ufrag, offer.mid()));
            prop_assert_eq!(&plain.candidates, &offer.candidates);
            let answer = answer(&offer, &local(), &origin());
            let sections = answer.lines().filter(|line| line.starts_with("m=")).count();
            prop_assert_eq!(sections, offer.sections.len());
            prop_assert_eq!(answer.lines().filter(|line| line.starts_with("m=") && line.contains(" 9 ")).count(), 1);
            let frame = offer.frame_ms(20);
            prop_assert!(FRAMES_MS.contains(&frame));
            prop_assert!(FRAMES_MS.contains(&offer.send_limits(60).longest_ms));
        }
    }
}
