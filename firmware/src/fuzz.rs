//! Entry points of the fuzz targets in `tests/fuzz`: one function for each thing that parses what others wrote. What a
//! parser makes is passed on to the layer that uses it, so that a target finds what breaks further up, too.
//!
//! A function returns whatever comes; it fails by a panic.

use crate::audio::{AudioCommand, Control, Engine, EngineConfig, StreamPort, pipeline};
use crate::device::config::Config;
use crate::genesys::id::Jid;
use crate::genesys::model::{Chat, Organization, User};
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::genesys::signal::Reply;
use crate::genesys::stream::Own;
use crate::genesys::stream::negotiation::Bound;
use crate::genesys::stream::session::{Output as Wire, Session};
use crate::genesys::xml::{self, Element, ns};
use crate::genesys::{CloudEvent, Identity};
use crate::media::fuzz::Socket;
use crate::media::sdp::{self, Candidate, LocalSide, Offer, Origin, Setup};
use crate::media::{CodecKind, Negotiated, PeerEvent};
use crate::phone::{self, AudioSettings, Phone, PhoneConfig};
use crate::softphone::{self, CommandId, MediaCommand, Softphone, SoftphoneConfig};
use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

/// Takes whatever it is given.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("xmpp_frames", xmpp_frames),
    ("json_rpc", json_rpc),
    ("jingle", jingle),
    ("sdp_offer", sdp_offer),
    ("candidate", candidate),
    ("notification", notification),
    ("board", board),
    ("config", config),
    ("api_body", api_body),
    ("turn_stream", turn_stream),
    ("rtp", rtp),
];

/// How much sound one input of the `rtp` target may make.
const LONGEST_SOUND: Duration = Duration::from_secs(5);
const GATEWAY: &str = "gw-1@gjoll.orgspan.com/g";
const USER: &str = "U";
const OWN: &str = "5f0c@acme-1.orgspan.com";

/// XMPP frames of a connection, one a line.
pub fn xmpp_frames(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        if let Ok(element) = xml::parse(line) {
            // What is written is read again (unless escaping has made it too long).
            let written = element.to_string();
            assert!(
                written.len() > xml::MAX_BYTES || xml::parse(&written).is_ok(),
                "own output is not read again"
            );
        }
    }
    let mut line = Line::new();
    text.lines().for_each(|frame| line.receive(frame));
}

/// The text of JSON-RPC requests, one a line.
pub fn json_rpc(data: &[u8]) {
    let mut line = Line::new();
    for text in String::from_utf8_lossy(data).lines() {
        line.receive_json_rpc(text);
    }
}

/// `<jingle>` elements of requests, one a line.
pub fn jingle(data: &[u8]) {
    let mut line = Line::new();
    for text in String::from_utf8_lossy(data).lines() {
        if let Ok(child) = xml::parse(text) {
            line.receive_request(child);
        }
    }
}

/// An offer.
pub fn sdp_offer(data: &[u8]) {
    answer(&String::from_utf8_lossy(data));
}

/// Candidate fragments as JSON-RPC has them, and candidate lines, one a line.
pub fn candidate(data: &[u8]) {
    let mut line = Line::new();
    line.receive_json_rpc(&offer_request(OFFER));
    for text in String::from_utf8_lossy(data).lines() {
        if let Ok(candidate) = Candidate::parse(text) {
            let again = Candidate::parse(&candidate.to_string()).expect("own output is read again");
            let candidate = Candidate {
                ufrag: None,
                ..candidate
            };
            assert_eq!(candidate, again);
        }
        let fragment = text.replace('\\', "\r\n");
        let params = serde_json::json!({ "sessionId": "S", "sdp": fragment });
        let request = serde_json::json!({ "method": "iceCandidate", "params": params });
        line.receive_json_rpc(&request.to_string());
    }
}

/// Notifications: the first byte of each line says which topic, the rest is the JSON.
pub fn notification(data: &[u8]) {
    let mut line = Line::new();
    for text in String::from_utf8_lossy(data).lines() {
        let mut rest = text.chars();
        let topic = match rest.next() {
            Some('c') => "conversations",
            Some('s') => "station",
            Some('p') => "persistentconnection",
            _ => continue,
        };
        line.notify(topic, rest.as_str());
    }
}

/// A board file.
pub fn board(data: &[u8]) {
    if let Ok(board) = offhook_board::Board::parse(&String::from_utf8_lossy(data), "fuzz.toml") {
        let _ = board.panel_config();
    }
}

/// A configuration file.
pub fn config(data: &[u8]) {
    let _ = Config::parse(&String::from_utf8_lossy(data), Path::new("fuzz.toml"));
}

/// Bodies of the local API; the first byte says which.
pub fn api_body(data: &[u8]) {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    let now = Instant::now();
    if which % 2 == 0 {
        let Ok(params) = serde_json::from_slice::<StartSoftphoneSessionParams>(body) else {
            return;
        };
        let mut line = Line::new();
        let id = CommandId(1);
        let command = softphone::Command::Start(Box::new(params));
        line.softphone
            .handle(now, softphone::Input::Command { id, command });
        line.drain();
    } else if let Ok(change) = serde_json::from_slice::<AudioSettings>(body) {
        let mut phone = Phone::new(PhoneConfig::default());
        phone.handle(now, phone::Input::Audio(change));
        while phone.poll().is_some() {}
    }
}

/// What a TURN server sends on a stream.
pub fn turn_stream(data: &[u8]) {
    crate::media::turn::fuzz(data);
}

/// Datagrams of a call without their encryption, each with two bytes of time since the one before (units of 0.1 ms) and
/// two of length, from the stack's reading of RTP and RTCP to the ear. What the last one lacks of its length is zeros.
pub fn rtp(data: &[u8]) {
    thread_local! {
        /// Made once: the pipeline's queues are never freed.
        static SOUND: RefCell<(Engine, Control, Option<StreamPort>)> = RefCell::new({
            let (engine, control, ports) = pipeline(EngineConfig::default()).expect("a pipeline");
            let [port, ..] = ports;
            (engine, control, Some(port))
        });
    }
    let Some((codec, mut rest)) = data.split_first() else {
        return;
    };
    let (codec, payload_type) = [
        (CodecKind::Opus, 111),
        (CodecKind::Pcmu, 0),
        (CodecKind::Pcma, 8),
    ][usize::from(codec % 3)];
    let negotiated = Negotiated {
        codec,
        payload_type,
        dtmf_payload_type: Some(101),
        noise_payload_type: None,
        sending: true,
        receiving: true,
        frame_ms: 20,
    };
    SOUND.with_borrow_mut(|(engine, control, port)| {
        let own = port.take().expect("it was given back");
        let stream = own.stream;
        let mut socket = Socket::new(own, negotiated);
        let start = Instant::now();
        let mut now = start;
        let mut next_period = now;
        let _ = control.send(AudioCommand::StartStream {
            stream,
            codec,
            frame_ms: 20,
        });
        let _ = control.send(AudioCommand::Listen(true));
        let mut played = [0; offhook_hal::audio::PERIOD_FRAMES];
        let silence = [0; offhook_hal::audio::PERIOD_FRAMES];
        // A longer sound tells nothing new, and takes its time.
        while now < start + LONGEST_SOUND
            && let Some((head, after)) = rest.split_first_chunk::<4>()
        {
            let wait = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            now += Duration::from_micros(u64::from(wait) * 100);
            while next_period < now {
                engine.process_at(next_period, &silence, &mut played);
                socket.pass(next_period);
                next_period += Duration::from_millis(10);
            }
            let (datagram, after) = after.split_at(length.min(after.len()));
            rest = after;
            let mut datagram = datagram.to_vec();
            datagram.resize(length, 0);
            socket.receive(now, &datagram);
        }
        let statistics = socket.statistics();
        assert!((0.0..=1.0).contains(&statistics.loss()), "{statistics:?}");
        let _ = control.send(AudioCommand::StopStream { stream });
        for _ in 0..3 {
            engine.process_at(next_period, &silence, &mut played);
            socket.pass(next_period);
            next_period += Duration::from_millis(10);
        }
        *port = Some(socket.close());
    });
}

/// An offer the phone can answer, for the targets that need a session.
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\na=mid:audio\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:\
    10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\na=setup:actpass\r\na=sendrecv\r\na=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n";

fn offer_request(sdp: &str) -> String {
    let params = serde_json::json!({ "sessionId": "S", "conversationId": "C", "sdp": sdp });
    serde_json::json!({ "jsonrpc": "2.0", "id": "1", "method": "offer", "params": params })
        .to_string()
}

/// Reads an offer as the peer does, without the stack; what it would answer.
fn answer(offer: &str) -> Option<(String, Negotiated)> {
    let offer = Offer::parse(offer).ok()?;
    let again = Offer::parse(&offer.for_stack());
    assert!(
        again.is_ok(),
        "what the stack is given is an offer: {again:?}"
    );
    let local = LocalSide {
        ufrag: "wxyz".to_owned(),
        pwd: "zyxwvutsrqponmlkjihgfe".to_owned(),
        fingerprint: "sha-256 00".to_owned(),
        candidates: Vec::new(),
    };
    let origin = Origin {
        session: 1,
        version: 1,
        ssrc: 1,
        cname: "c".to_owned(),
        setup: Setup::Active,
    };
    let negotiated = Negotiated {
        codec: offer.codec,
        payload_type: offer.payload_type,
        dtmf_payload_type: offer.dtmf_payload_type(),
        noise_payload_type: offer.noise_payload_type,
        sending: true,
        receiving: true,
        frame_ms: offer.frame_ms(20),
    };
    Some((sdp::answer(&offer, &local, &origin), negotiated))
}

/// The phone from the stream's frames up to the session engine, signed in.
struct Line {
    now: Instant,
    session: Session,
    softphone: Softphone,
    requests: u64,
    /// Events told.
    told: u64,
}

impl Line {
    fn new() -> Self {
        let user = User {
            id: USER.into(),
            chat: Chat {
                jabber_id: OWN.into(),
            },
            ..User::default()
        };
        let identity = Identity {
            user,
            organization: Organization::default(),
            bare_jid: OWN.into(),
            station: None,
        };
        let now = Instant::now();
        let full = Jid::new(format!("{OWN}/phone"));
        let mut line = Self {
            now,
            session: Session::new(identity.clone(), "notifications.example.com", false),
            softphone: Softphone::new(SoftphoneConfig::default()),
            requests: 0,
            told: 0,
        };
        let bound = Bound {
            own: Own::new(full.clone()),
            connection_id: "strm-1".to_owned(),
        };
        line.session.connected(now, &bound, "channel");
        // Until the first service discovery is answered, events wait.
        for _ in 0..8 {
            line.answer_requests();
        }
        for event in [
            CloudEvent::Ready(Box::new(identity)),
            CloudEvent::Connected {
                reconnect: false,
                full_jid: full,
            },
        ] {
            line.softphone.handle(now, softphone::Input::Cloud(event));
        }
        line.drain();
        line
    }

    /// Answers what the session asks of the server.
    fn answer_requests(&mut self) {
        let mut answers = Vec::new();
        while let Some(output) = self.session.poll() {
            if let Wire::Send(request) = output
                && let Some(id) = request.attribute("id")
            {
                answers.push(format!(
                    "<iq xmlns='jabber:client' type='result' id='{id}'><services xmlns='{}'/></iq>",
                    ns::EXTDISCO
                ));
            }
        }
        for answer in answers {
            self.session.text(self.now, &answer);
        }
    }

    fn receive(&mut self, frame: &str) {
        self.now += Duration::from_millis(10);
        self.session.text(self.now, frame);
        self.drain();
    }

    fn receive_request(&mut self, child: Element) {
        self.requests += 1;
        let iq = Element::new("iq", ns::CLIENT)
            .with("type", "set")
            .with("id", format!("r{}", self.requests))
            .with("from", GATEWAY)
            .with("to", format!("{OWN}/phone"))
            .with_child(child);
        self.receive(&iq.to_string());
    }

    fn receive_json_rpc(&mut self, text: &str) {
        self.receive_request(Element::new("genesys-webrtc", ns::GENESYS).with_text(text));
    }

    fn notify(&mut self, topic: &str, json: &str) {
        let item = Element::new("item", ns::PUBSUB_EVENT)
            .with_child(Element::new("json", ns::JSON).with_text(json));
        let items = Element::new("items", ns::PUBSUB_EVENT)
            .with("node", format!("v2.users.{USER}.{topic}"))
            .with_child(item);
        let message = Element::new("message", ns::CLIENT)
            .with("from", "notifications.example.com")
            .with_child(Element::new("event", ns::PUBSUB_EVENT).with_child(items));
        self.receive(&message.to_string());
    }

    /// Passes on what the two layers want of each other, until they want nothing more.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.session.poll() {
                if let Wire::Event(event) = output {
                    self.softphone
                        .handle(self.now, softphone::Input::Cloud(event));
                }
            }
            let Some(output) = self.softphone.poll() else {
                return;
            };
            match output {
                softphone::Output::Signal(reply) => self.reply(&reply),
                softphone::Output::Media { session, command } => {
                    if let MediaCommand::Open { offer } | MediaCommand::Renegotiate { offer } =
                        command
                        && let Some((sdp, negotiated)) = answer(&offer)
                    {
                        let event = PeerEvent::Answered { sdp, negotiated };
                        self.softphone
                            .handle(self.now, softphone::Input::Peer { session, event });
                    }
                }
                softphone::Output::Event(event) => {
                    serde_json::to_string(&*event).expect("an event is JSON");
                    self.told += 1;
                    // What rings is taken, so that there are sessions.
                    if let softphone::Event::PendingSession(pending) = &*event {
                        let id = CommandId(self.told);
                        let command = softphone::Command::Accept(pending.conversation_id.clone());
                        self.softphone
                            .handle(self.now, softphone::Input::Command { id, command });
                    }
                }
                _ => {}
            }
        }
    }

    fn reply(&mut self, reply: &Reply) {
        self.session.reply(self.now, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// An RTP packet, right or wrong in each of its parts, and the time before it.
    fn datagram() -> impl Strategy<Value = (u16, Vec<u8>)> {
        // Version 2 without anything else, or anything.
        let first = prop_oneof![6 => Just(0x80u8), 3 => 0x80u8..0xc0, 1 => any::<u8>()];
        let payload_type = prop_oneof![6 => Just(111u8), 2 => Just(0), 1 => Just(13), 1 => Just(101), 2 => any::<u8>()];
        let place = prop_oneof![8 => Just((1u16, 960u32)), 1 => (0u16..9, 0u32..9000), 1 => any::<(u16, u32)>()];
        let extension = prop_oneof![
            8 => Just(Vec::new()),
            1 => Just(vec![0xbe, 0xde, 0, 1, 0x10, 0x7f, 0, 0]),
            1 => (any::<bool>(), 0u8..4, vec(any::<u8>(), 0..20)).prop_map(|(one, words, rest)| {
                let profile = if one { [0xbe, 0xde] } else { [0x10, 0x00] };
                [&profile[..], &[0, words], &rest].concat()
            }),
        ];
        let payload = prop_oneof![
            6 => (prop_oneof![Just(0x48u8), Just(0x78), Just(0xf8)], vec(any::<u8>(), 0..100))
                .prop_map(|(toc, rest)| [&[toc], &rest[..]].concat()),
            2 => (0usize..400, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
            1 => (1490usize..1510, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
            1 => (0usize..65_000, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
        ];
        let time = prop_oneof![6 => Just(200u16), 2 => Just(0), 1 => 0u16..3000];
        (
            time,
            first,
            payload_type,
            place,
            0u32..3,
            extension,
            payload,
        )
            .prop_map(
                |(time, first, payload_type, (sequence, timestamp), ssrc, extension, payload)| {
                    let mut packet = vec![first, payload_type];
                    packet.extend(sequence.to_be_bytes());
                    packet.extend(timestamp.to_be_bytes());
                    packet.extend(ssrc.saturating_sub(1).to_be_bytes());
                    packet.extend(extension);
                    packet.extend(payload);
                    (time, packet)
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Sequence numbers and timestamps count from packet to packet; some packets are cut.
        #[test]
        fn whatever_comes_off_a_socket_is_taken(
            codec in 0u8..3,
            datagrams in vec((datagram(), prop_oneof![9 => Just(usize::MAX), 1 => 0usize..200]), 1..150),
        ) {
            let (mut input, mut sequence, mut timestamp) = (vec![codec], 0u16, 0u32);
            for ((time, mut packet), length) in datagrams {
                sequence = sequence.wrapping_add(u16::from_be_bytes([packet[2], packet[3]]));
                timestamp = timestamp.wrapping_add(u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]));
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
                packet.truncate(length);
                input.extend(time.to_be_bytes());
                input.extend((packet.len() as u16).to_be_bytes());
                input.extend(packet);
            }
            rtp(&input);
        }
    }

    #[test]
    fn the_kept_inputs_are_taken() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
        for (name, target) in TARGETS {
            let inputs = std::fs::read_dir(corpus.join(name)).expect(name);
            let mut count = 0;
            for input in inputs {
                target(&std::fs::read(input.expect(name).path()).expect(name));
                count += 1;
            }
            assert!(count > 0, "{name} has no corpus");
        }
    }
}
