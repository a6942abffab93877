use super::{answer, first_mid};
use crate::genesys::xml::{Element, Node, ns, parse};

/// What the unmodified SDK made of Chromium's answer.
const ACCEPT: &str = include_str!("testdata/session-accept.xml");

/// Chromium's answer of that call, line by line as Chromium writes them.
const ANSWER: &str = "v=0\r
o=- 2850057338961884077 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE audio\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=ice-ufrag:+nk9\r
a=ice-pwd:x+mOfigLaaVwRBJBIJxqeB4/\r
a=ice-options:trickle\r
a=fingerprint:sha-256 07:82:5C:4A:5A:69:78:8A:5B:A2:FA:7F:20:96:E4:6F:D8:E1:E4:EF:4D:4F:3C:3F:F2:E6:D3:F6:82:5C:66:25\r
a=setup:active\r
a=mid:audio\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r
a=sendrecv\r
a=msid:- 005b53bc-9fb2-4915-9181-609b7f93aff3\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:13 CN/8000\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
a=ssrc:798360615 cname:OcVFk2K5tgU7fh4o\r
";

fn sorted(mut element: Element) -> Element {
    element.attributes.sort();
    for node in &mut element.nodes {
        if let Node::Element(child) = node {
            *child = sorted(std::mem::take(child));
        }
    }
    element
}

#[test]
fn the_session_accept_of_the_real_sdk() {
    let iq = parse(ACCEPT).unwrap_or_else(|e| panic!("{e}"));
    let expected = iq.child("jingle", ns::JINGLE).expect("Jingle");
    let answer = answer(ANSWER, false);
    let made = Element::new("jingle", ns::JINGLE)
        .with("sid", expected.attribute("sid").expect("a sid"))
        .with("action", "session-accept")
        .with_children(answer.contents)
        .with_children(answer.group);
    assert_eq!(
        sorted(made).to_string(),
        sorted(expected.clone()).to_string()
    );
    assert_eq!(answer.mids, ["audio"]);
    assert_eq!(
        answer.ice,
        Some(("+nk9".to_owned(), "x+mOfigLaaVwRBJBIJxqeB4/".to_owned()))
    );
}

fn content(sdp: &str) -> String {
    let answer = answer(sdp, false);
    answer.contents.iter().map(Element::to_string).collect()
}

#[test]
fn who_sends_is_seen_from_the_one_who_answers() {
    for (direction, senders) in [
        ("sendrecv", None),
        ("sendonly", Some("responder")),
        ("recvonly", Some("initiator")),
        ("inactive", Some("none")),
    ] {
        let sdp = ANSWER.replace("a=sendrecv", &format!("a={direction}"));
        let answer = answer(&sdp, false);
        assert_eq!(
            answer.contents[0].attribute("senders"),
            senders,
            "{direction}"
        );
    }
}

#[test]
fn session_level_parameters_static_payloads_and_details() {
    let text = content(
        "v=0\na=ice-ufrag:uf\na=ice-pwd:pw\na=fingerprint:sha-256 AA\na=setup:active\nm=audio 9 UDP/TLS/RTP/SAVPF 0 8 99\na=mid:0\na=rtcp-rsize\na=rtcp-fb:* nack\na=extmap:4/recvonly urn:y\na=ssrc:7 cname:c\na=ssrc:7 msid:s t\na=candidate:1 1 udp 5 10.0.0.1 9 typ host\na=candidate:2 1 tcp 5 10.0.0.1 9 typ host\na=candidate:3 1 udp 5 fd00::1 9 typ host\n",
    );
    for part in [
        r#"name="0""#,
        "<rtcp-reduced-size/>",
        r#"<payload-type channels="1" clockrate="8000" id="0" name="PCMU"/><payload-type channels="1" clockrate="8000" id="8" name="PCMA"/>"#,
        r#"<rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="nack"/>"#,
        r#"<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="4" uri="urn:y" senders="initiator"/>"#,
        r#"<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="7"><parameter name="cname" value="c"/><parameter name="msid" value="s t"/></source>"#,
        r#"<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="uf" pwd="pw"><fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="active">AA</fingerprint>"#,
        r#"foundation="1""#,
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    for part in [r#"id="99""#, r#"foundation="2""#, r#"foundation="3""#] {
        assert!(!text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn rejected_sections_and_nonsense_give_no_content() {
    for sdp in [
        "",
        "m=",
        "m=audio",
        "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0",
        "a=b\r\n\u{0}",
    ] {
        assert_eq!(content(sdp), "", "{sdp:?}");
    }
}

#[test]
fn the_first_mid() {
    assert_eq!(first_mid(ANSWER), Some("audio"));
    assert_eq!(first_mid("m=audio 9\na=mid:\n"), None);
    assert_eq!(first_mid(""), None);
}
