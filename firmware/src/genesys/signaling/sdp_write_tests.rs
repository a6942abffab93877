use super::{offer, restarted};
use crate::genesys::xml::{Element, ns, parse};

/// Sent to the unmodified SDK in Chromium, which made a call of it.
const INITIATE: &str = include_str!("testdata/session-initiate.xml");

fn jingle(iq: &str) -> Element {
    let iq = parse(iq).unwrap_or_else(|e| panic!("{e}"));
    iq.child("jingle", ns::JINGLE).expect("Jingle").clone()
}

fn minimal(inside_description: &str, inside_transport: &str) -> Element {
    jingle(&format!(
        r#"<iq xmlns="jabber:client"><jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="S">
        <content creator="initiator" name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">{inside_description}</description>
        <transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="uf" pwd="pw">{inside_transport}</transport></content></jingle></iq>"#
    ))
}

#[test]
fn the_offer_the_sdk_took() {
    let offer = offer(&jingle(INITIATE)).expect("an offer");
    assert_eq!(
        offer.ice,
        Some(("8t3j".to_owned(), "WRb1fufKW7VQChyEJjQt5djL".to_owned()))
    );
    let lines: Vec<&str> = offer.sdp.lines().collect();
    assert_eq!(
        lines,
        include_str!("testdata/session-initiate.sdp")
            .lines()
            .collect::<Vec<_>>()
    );
}

#[test]
fn parameters_feedback_and_extensions() {
    let offer = offer(&minimal(
        r#"<rtcp-mux/><rtcp-reduced-size/><bandwidth type="AS">32</bandwidth><bandwidth type="AS"/><bandwidth type="a b">1</bandwidth>
        <payload-type id="96" name="opus" clockrate="48000" channels="2" ptime="20"><parameter name="stereo" value="0"/><parameter name="usedtx"/>
          <rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="nack" subtype="pli"/></payload-type>
        <payload-type id="101" name="telephone-event"><parameter value="0-16"/></payload-type>
        <rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="transport-cc"/>
        <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="3" uri="urn:x" senders="initiator"/>"#,
        "<gathering-complete/>",
    ))
    .expect("an offer");
    for line in [
        "m=audio 9 UDP/TLS/RTP/SAVPF 96 101",
        "b=AS:32",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 stereo=0;usedtx",
        "a=ptime:20",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=rtcp-fb:* transport-cc",
        "a=extmap:3/sendonly urn:x",
        "a=end-of-candidates",
    ] {
        assert!(
            offer.sdp.lines().any(|l| l == line),
            "{line} in\n{}",
            offer.sdp
        );
    }
}

#[test]
fn who_sends_is_seen_from_the_one_who_offers() {
    for (senders, direction) in [
        ("", "a=sendrecv"),
        (r#" senders="both""#, "a=sendrecv"),
        (r#" senders="initiator""#, "a=sendonly"),
        (r#" senders="responder""#, "a=recvonly"),
        (r#" senders="none""#, "a=inactive"),
    ] {
        let text = minimal("", "").to_string();
        let text = text.replace(r#"name="audio">"#, &format!(r#"name="audio"{senders}>"#));
        let sdp = offer(&parse(&text).expect("XML")).expect("an offer").sdp;
        assert!(
            sdp.lines().any(|line| line == direction),
            "{senders}: {sdp}"
        );
    }
}

#[test]
fn what_is_not_audio_is_left_out() {
    let video = minimal("", "")
        .to_string()
        .replace(r#"media="audio""#, r#"media="video""#);
    let offer = offer(&parse(&video).expect("XML")).expect("an offer");
    assert!(!offer.sdp.contains("m="), "{}", offer.sdp);
}

#[test]
fn no_value_becomes_a_line_of_its_own() {
    let payload = |attributes: &str| {
        let attributes = attributes.replace("CRLF", "&#13;&#10;a=setup:passive");
        minimal(&format!("<payload-type {attributes}/>"), "")
    };
    for bad in [
        payload(r#"id="0CRLF" name="PCMU""#),
        payload(r#"id="128" name="PCMU""#),
        payload(r#"name="PCMU""#),
        payload(r#"id="0" name="PCMUCRLF""#),
        payload(r#"id="0""#),
        payload(r#"id="0" name="PCMU" clockrate="8000CRLF""#),
        minimal(
            "",
            r#"<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256&#10;a=b">AA</fingerprint>"#,
        ),
        minimal(
            "",
            r#"<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256">AA BB</fingerprint>"#,
        ),
        minimal(
            r#"<stream xmlns="urn:xmpp:jingle:apps:rtp:msid:0" id="a&#10;b" track="t"/>"#,
            "",
        ),
        minimal(
            r#"<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="1"/>"#,
            "",
        ),
        minimal(
            r#"<payload-type id="0" name="PCMU"><parameter name="a" value="b&#10;c"/></payload-type>"#,
            "",
        ),
    ] {
        assert!(offer(&bad).is_err(), "{bad}");
    }
    let nameless = minimal("", "").to_string().replace(r#" name="audio""#, "");
    assert!(offer(&parse(&nameless).expect("XML")).is_err());
}

#[test]
fn a_restart_replaces_the_ice_parameters_and_drops_old_candidates() {
    let first = offer(&jingle(INITIATE)).expect("an offer");
    let again = restarted(&first.sdp, &("new".to_owned(), "pass".to_owned()), 2);
    assert!(
        again.starts_with("v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n"),
        "{again}"
    );
    assert!(
        again.contains("\r\na=ice-ufrag:new\r\na=ice-pwd:pass\r\n"),
        "{again}"
    );
    assert!(
        !again.contains("8t3j") && !again.contains("a=candidate:"),
        "{again}"
    );
    assert!(again.contains("a=fingerprint:sha-256 61:BF"), "{again}");
}
