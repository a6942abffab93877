//! The samples of genesys-protocol 5.4 and a real client's stanzas, and what is wrong with
//! changed ones.

use super::*;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 0 101\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:audio\r\n\
    a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=fingerprint:sha-256 AA:BB:0C\r\n\
    a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtcp-fb:111 transport-cc\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\n\
    a=ssrc:1234 cname:g<w\r\na=msid:st tr\r\n\
    a=candidate:1 1 UDP 2130706431 203.0.113.5 16384 typ host generation 0\r\n";

/// As the real client wrote it (with fewer codecs).
const ACCEPT: &str = r#"<jingle xmlns="urn:xmpp:jingle:1" sid="S" action="session-accept"><content creator="initiator" name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" xmlns:rtcpf="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" xmlns:rtph="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" media="audio" ssrc="798360615"><rtcp-mux/><payload-type channels="2" clockrate="48000" id="111" name="opus"><parameter name="minptime" value="10"/><parameter name="useinbandfec" value="1"/><rtcpf:rtcp-fb type="transport-cc"/></payload-type><payload-type channels="1" clockrate="8000" id="101" name="telephone-event"><parameter name="0-16"/></payload-type><rtph:rtp-hdrext id="1" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"/><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="798360615"><parameter name="cname" value="OcVFk2K5tgU7fh4o"/></source><stream xmlns="urn:xmpp:jingle:apps:rtp:msid:0" id="-" track="005b53bc"/></description><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="+nk9" pwd="x+mOfigLaaVwRBJBIJxqeB4/"><fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="active">07:82:5C</fingerprint></transport></content><group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="audio"/></group></jingle>"#;

const TRICKLE: &str = r#"<jingle xmlns="urn:xmpp:jingle:1" sid="S" action="transport-info"><content creator="initiator" name="audio"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="+nk9"><candidate component="1" foundation="3905730988" ip="127.0.0.1" port="44806" priority="2122194687" protocol="udp" type="host"/></transport></content></jingle>"#;

#[test]
fn an_offer_becomes_a_session_initiate() {
    let xml = offer_to_jingle(OFFER, "S", "+1@g.gjoll.x/a&b", "U@d/r").unwrap();
    for part in [
        r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" initiator="+1@g.gjoll.x/a&amp;b" responder="U@d/r" sid="S">"#,
        r#"<content creator="initiator" name="audio">"#,
        r#"<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio" ssrc="1234"><rtcp-mux/><rtcp-reduced-size/>"#,
        r#"<payload-type channels="2" clockrate="48000" id="111" name="opus"><parameter name="minptime" value="10"/><parameter name="useinbandfec" value="1"/><rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="transport-cc"/></payload-type>"#,
        r#"<payload-type channels="1" clockrate="8000" id="101" name="telephone-event"><parameter name="0-15"/></payload-type>"#,
        r#"<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="1" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"/>"#,
        r#"<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="1234"><parameter name="cname" value="g&lt;w"/></source>"#,
        r#"<stream xmlns="urn:xmpp:jingle:apps:rtp:msid:0" id="st" track="tr"/>"#,
        r#"<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="8hhY" pwd="asd88fgpdd777uzjYhagZg"><fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="actpass">AA:BB:0C</fingerprint><candidate component="1" foundation="1" generation="0" ip="203.0.113.5" port="16384" priority="2130706431" protocol="udp" type="host"/></transport>"#,
        r#"</content><group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="audio"/></group></jingle>"#,
    ] {
        assert!(xml.contains(part), "{part}\nis not in\n{xml}");
    }
    let held = offer_to_jingle(&OFFER.replace("sendrecv", "sendonly"), "S", "a", "b").unwrap();
    assert!(held.contains(r#"name="audio" senders="initiator""#));
    crate::xml::Element::parse(&xml).unwrap();
}

#[test]
fn an_offer_that_cannot_be_expressed_says_why() {
    for (from, to, says) in [
        ("m=audio", "m=video", "one audio section"),
        ("a=mid:audio\r\n", "", "a=mid is missing"),
        ("a=ice-ufrag:8hhY\r\n", "", "a=ice-ufrag is missing"),
        (
            "a=fingerprint:sha-256 AA:BB:0C\r\n",
            "",
            "a=fingerprint is missing",
        ),
        ("candidate:1 1 UDP", "candidate:1", "no candidate line"),
    ] {
        let error = offer_to_jingle(&OFFER.replace(from, to), "S", "a", "b").unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_real_session_accept_becomes_an_answer_that_fits() {
    assert_eq!(read(ACCEPT).unwrap().action, Action::SessionAccept);
    let sdp = accept_to_sdp(ACCEPT, OFFER).unwrap();
    for line in [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 101",
        "a=mid:audio",
        "a=ice-ufrag:+nk9",
        "a=ice-pwd:x+mOfigLaaVwRBJBIJxqeB4/",
        "a=fingerprint:sha-256 07:82:5C",
        "a=setup:active",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtcp-fb:111 transport-cc",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ssrc:798360615 cname:OcVFk2K5tgU7fh4o",
    ] {
        assert!(
            sdp.contains(&format!("{line}\r\n")),
            "{line} is not in\n{sdp}"
        );
    }
    crate::gateway::sdp::check_answer(OFFER, &sdp, None).unwrap();
}

#[test]
fn each_fault_of_a_session_accept_is_named() {
    for (from, to, says) in [
        (
            "jingle:1\" sid",
            "jingle:0\" sid",
            "expected <jingle xmlns=",
        ),
        ("session-accept", "session-initiate", "is no session-accept"),
        (
            " name=\"audio\"><desc",
            " name=\"0\"><desc",
            "the offer's content is",
        ),
        ("creator=\"initiator\"", "creator=\"responder\"", "creator"),
        (
            "apps:rtp:1",
            "apps:rtp:0",
            "<description> in <content> has the namespace",
        ),
        (
            "ice-udp:1",
            "ice-udp:0",
            "<transport> in <content> has the namespace",
        ),
        (
            "apps:dtls:0",
            "apps:dtls:1",
            "<fingerprint> in <transport> has the namespace",
        ),
        (
            "rtp:rtcp-fb:0",
            "rtp:rtcp-fb:1",
            "<rtcp-fb> in <payload-type> has the namespace",
        ),
        (
            "rtp:ssma:0",
            "rtp:ssma:1",
            "<source> in <description> has the namespace",
        ),
        ("media=\"audio\"", "media=\"video\"", "offered was audio"),
        (
            " setup=\"active\"",
            "",
            "<fingerprint> has no attribute \"setup\"",
        ),
        (
            " pwd=\"x+mOfigLaaVwRBJBIJxqeB4/\"",
            "",
            "<transport> has no attribute \"pwd\"",
        ),
        ("id=\"111\"", "id=\"300\"", "is no number up to 127"),
        ("07:82:5C", "nonsense", "hex octets"),
        ("value=\"10\"", "value=\"1&#10;a=x\"", "a line break"),
    ] {
        let spoiled = ACCEPT.replace(from, to);
        assert_ne!(spoiled, ACCEPT, "{from}");
        let error = accept_to_sdp(&spoiled, OFFER).expect_err(from).to_string();
        assert!(error.contains(says), "{from}: {error}");
    }
}

#[test]
fn candidates_go_both_ways() {
    let info = transport_info_to_candidates(TRICKLE).unwrap();
    assert_eq!(info.ufrag.as_deref(), Some("+nk9"));
    assert_eq!(
        info.candidates,
        ["candidate:3905730988 1 udp 2122194687 127.0.0.1 44806 typ host"]
    );
    assert!(!info.complete && info.pwd.is_none());
    for line in [
        "candidate:2 1 udp 1677729535 198.51.100.7 5000 typ srflx raddr 10.0.0.4 rport 5000 generation 0",
        "candidate:3 1 tcp 1518283007 192.0.2.2 9 typ host tcptype active generation 0",
    ] {
        let xml = candidate_to_transport_info(&format!("a={line}"), "S", OFFER).unwrap();
        assert!(xml.contains("ufrag=\"8hhY\""), "{xml}");
        assert_eq!(
            transport_info_to_candidates(&xml).unwrap().candidates,
            [line]
        );
    }
    let end = end_of_candidates_to_transport_info("S", OFFER).unwrap();
    assert!(transport_info_to_candidates(&end).unwrap().complete);
}

#[test]
fn each_fault_of_a_candidate_is_named() {
    for (from, to, says) in [
        (" ip=\"127.0.0.1\"", "", "no attribute \"ip\""),
        ("127.0.0.1", "localhost", "ip=\"localhost\""),
        ("\"44806\"", "\"70000\"", "port=\"70000\""),
        ("protocol=\"udp\"", "protocol=\"UDP\"", "protocol=\"UDP\""),
        ("type=\"host\"", "type=\"HOST\"", "type=\"HOST\""),
        ("component=\"1\"", "component=\"0\"", "component=\"0\""),
        (
            "<candidate ",
            "<candidate xmlns=\"x\" ",
            "has the namespace \"x\"",
        ),
        (
            "candidate component",
            "kandidate component",
            "neither <candidate>",
        ),
    ] {
        let spoiled = TRICKLE.replace(from, to);
        assert_ne!(spoiled, TRICKLE, "{from}");
        let error = transport_info_to_candidates(&spoiled)
            .expect_err(from)
            .to_string();
        assert!(error.contains(says), "{from}: {error}");
    }
}

#[test]
fn information_and_the_end_are_read() {
    let read_inside = |action: &str, inside: &str| {
        read(&format!(
            r#"<jingle xmlns="urn:xmpp:jingle:1" action="{action}" sid="S">{inside}</jingle>"#
        ))
        .map(|jingle| jingle.action)
    };
    let info = r#"xmlns="urn:xmpp:jingle:apps:rtp:info:1""#;
    assert_eq!(
        read_inside("session-info", &format!("<active {info}/>")),
        Ok(Action::Active)
    );
    assert_eq!(
        read_inside(
            "session-info",
            &format!(r#"<mute {info} creator="U" name="audio"/>"#)
        ),
        Ok(Action::Mute(true))
    );
    assert!(read_inside("session-info", "<active/>").is_err());
    assert!(read_inside("session-info", "").is_err());
    let terminate = session_terminate("S", "busy").unwrap();
    assert_eq!(
        read(&terminate).unwrap().action,
        Action::SessionTerminate("busy".to_owned())
    );
    assert_eq!(
        read_inside("session-terminate", ""),
        Ok(Action::SessionTerminate("success".to_owned()))
    );
    assert!(read_inside("session-terminate", "<reason><bored/></reason>").is_err());
    assert!(session_terminate("S", "bored").is_err());
    assert!(read_inside("content-add", "").is_err());
    assert!(read("<jingle").is_err());
    assert!(read(r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-info"/>"#).is_err());
}
