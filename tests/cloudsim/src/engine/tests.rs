//! The engine on a virtual clock. A test is a list of what happens and the lines that come out.

mod ending;
mod enforcement;
mod orders;
mod parties;
mod shared;

use std::time::Duration;

use super::*;
use crate::spec::{Form, InboundOrder, InboundSpec, OutboundSpec};

const BARE: &str = "u@org.test";
const FULL: &str = "u@org.test/phone";
const OTHER: &str = "u@org.test/browser";
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:audio\r\n\
    a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=fingerprint:sha-256 AA:BB:0C\r\n\
    a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=sendrecv\r\na=ssrc:1234 cname:gw\r\n\
    a=msid:st tr\r\n";
const ACCEPT: &str = r#"<jingle xmlns="urn:xmpp:jingle:1" sid="SID" action="session-accept"><content creator="initiator" name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio" ssrc="1"><rtcp-mux/><payload-type channels="2" clockrate="48000" id="111" name="opus"/><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="1"><parameter name="cname" value="phone"/></source></description><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="+nk9" pwd="x+mOfigLaaVwRBJBIJxqeB4/"><fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="active">07:82:5C</fingerprint></transport></content></jingle>"#;

/// An engine, its clock, and what came out of it in short lines.
struct Rig {
    engine: Engine,
    now: Duration,
    lines: Vec<String>,
    form: Form,
}

impl Rig {
    fn new(form: Form) -> Self {
        let mut count = 0;
        let ids = move || {
            count += 1;
            format!("id{count}")
        };
        let clock = WallClock::starting_at(Duration::from_hours(490_896));
        let engine = Engine::new(
            clock,
            "mypurecloud.test".into(),
            Timing::default(),
            Deadlines::default(),
            Box::new(ids),
        );
        Self {
            engine,
            now: Duration::ZERO,
            lines: Vec::new(),
            form,
        }
    }

    fn user() -> UserFacts {
        UserFacts {
            id: "U".into(),
            name: "Agent One".into(),
            station: true,
            auto_answer: false,
            expects_metadata: true,
            line_appearances: 100,
            persistent: false,
            renegotiates: false,
            newest_resource: Some(FULL.into()),
        }
    }

    fn ring(&mut self, order: InboundOrder, gap_ms: u64) -> String {
        let gap = Duration::from_millis(gap_ms);
        let spec = InboundSpec {
            form: self.form,
            order,
            gap,
            ..InboundSpec::default()
        };
        self.ring_with(&spec)
    }

    fn ring_with(&mut self, spec: &InboundSpec) -> String {
        let id = self
            .engine
            .call_user(self.now, &Self::user(), spec)
            .unwrap();
        self.settle();
        id
    }

    fn dial(&mut self, spec: OutboundSpec) -> String {
        let spec = OutboundSpec {
            form: self.form,
            ..spec
        };
        let to = "tel:+15555550199";
        let id = self
            .engine
            .place_call(self.now, &Self::user(), to, None, None, &spec, 7);
        self.settle();
        id
    }

    /// Lets time go by, and everything that is due happen at its time.
    fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.engine.next_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn settle(&mut self) {
        self.engine.tick(self.now);
        while let Some(output) = self.engine.poll() {
            self.lines.push(line(output));
        }
    }

    /// The lines since the last look.
    fn seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn session(&self, call: &str) -> String {
        self.engine.session_of(call).unwrap().to_owned()
    }

    /// The phone says something, as the resource that should.
    fn says(&mut self, call: &str, kind: SignalKind) {
        self.says_as(FULL, call, kind);
    }

    fn says_as(&mut self, from: &str, call: &str, kind: SignalKind) {
        let session = self.session(call);
        let peer = self.engine.session(&session).unwrap().peer.clone();
        let to = if kind == SignalKind::Accept {
            BARE.into()
        } else {
            peer
        };
        let signal = Signal {
            user: "U".into(),
            from: from.into(),
            to,
            session,
            kind,
        };
        self.engine.signal(self.now, signal);
        self.settle();
    }

    fn leg(&mut self, call: &str, input: LegInput) {
        let session = self.session(call);
        self.engine.leg_input(self.now, &session, input);
        self.settle();
    }

    fn answer(&self, call: &str) -> SignalKind {
        match self.form {
            Form::SdpOverXmpp => SignalKind::Answer(OFFER.replace("actpass", "active")),
            Form::Jingle => SignalKind::JingleAccept(ACCEPT.replace("SID", &self.session(call))),
        }
    }

    /// From proceed to the answer.
    fn take(&mut self, call: &str) {
        self.says(call, SignalKind::Proceed);
        self.take_offer(call);
    }

    /// From the offer to the answer.
    fn take_offer(&mut self, call: &str) {
        self.leg(call, LegInput::Offer(OFFER.into()));
        self.wait(20);
        self.says(call, SignalKind::Accept);
        let answer = self.answer(call);
        self.says(call, answer);
    }

    /// From the answer to media that is told.
    fn connect(&mut self, call: &str) {
        let form = self.form;
        let candidate = "candidate:1 1 udp 1 192.0.2.1 5 typ host".to_owned();
        self.says(
            call,
            SignalKind::Candidates(form, vec![(candidate, "audio".into())]),
        );
        self.says(call, SignalKind::EndOfCandidates(form));
        self.leg(call, LegInput::Connected);
        self.says(call, SignalKind::Active(form));
        self.wait(10);
    }

    fn post_metadata(&mut self, call: &str) {
        let communication = self.engine.report(call).unwrap().communication_id;
        self.engine
            .metadata(self.now, call, &communication)
            .unwrap();
        self.settle();
    }

    fn patch(&mut self, call: &str, patch: ParticipantPatch) -> Result<(), CommandError> {
        let participant = self.engine.report(call).unwrap().participant_id;
        let result = self.engine.patch(self.now, call, &participant, patch);
        self.settle();
        result
    }

    /// A connected inbound call, with nothing left to look at.
    fn talking(form: Form) -> (Self, String) {
        let mut rig = Self::new(form);
        let call = rig.ring(InboundOrder::EventFirst, 0);
        rig.take(&call);
        rig.connect(&call);
        rig.post_metadata(&call);
        rig.seen();
        (rig, call)
    }

    fn violations(&mut self) -> Vec<String> {
        self.seen()
            .into_iter()
            .filter(|line| line.starts_with("VIOLATION"))
            .collect()
    }
}

fn line(output: Output) -> String {
    match output {
        Output::Stanza { to, stanza, .. } => {
            let to = match to {
                Target::Everywhere => "all".to_owned(),
                Target::Resource(jid) => jid.rsplit('/').next().unwrap().to_owned(),
            };
            let what = match stanza {
                CloudStanza::Propose {
                    auto_answer,
                    sdp_over_xmpp,
                    eager,
                    ..
                } => {
                    let eager = if eager { " eager" } else { "" };
                    format!("propose auto={auto_answer} sdp={sdp_over_xmpp}{eager}")
                }
                CloudStanza::Retract => "retract".into(),
                CloudStanza::Offer { reinvite, .. } => format!("offer reinvite={reinvite}"),
                CloudStanza::Candidate { sdp } => {
                    if sdp.starts_with("m=audio 9 RTP/AVP 0\r\na=candidate:") {
                        "candidate".into()
                    } else {
                        format!("fragment {sdp:?}")
                    }
                }
                CloudStanza::Terminate { reason } => format!("terminate {reason}"),
                CloudStanza::Jingle { xml } | CloudStanza::JingleAgain { xml } => {
                    let action = xml.split("action=\"").nth(1).unwrap();
                    let action = action.split('"').next().unwrap();
                    match action {
                        "session-initiate" => "offer reinvite=false".into(),
                        "session-terminate" => {
                            let reason = xml.split("<reason><").nth(1).unwrap();
                            format!("terminate {}", reason.split('/').next().unwrap())
                        }
                        "transport-info" if xml.contains("<candidate") => "candidate".into(),
                        other => other.to_owned(),
                    }
                }
            };
            format!("{what} -> {to}")
        }
        Output::Notify {
            conversation,
            calls,
            ..
        } => {
            let own = |value: &serde_json::Value| {
                let all = value["participants"].as_array().unwrap();
                all.iter()
                    .find(|one| one["calls"][0]["id"].is_string() && one["userId"] == "U")
                    .cloned()
            };
            let one = own(&conversation).unwrap();
            let call = &one["calls"][0];
            let flat = calls["participants"]
                .as_array()
                .unwrap()
                .iter()
                .find(|flat| flat["id"] == one["id"])
                .unwrap()
                .clone();
            for field in ["state", "held", "muted"] {
                assert_eq!(flat[field], call[field], "both shapes tell the same");
            }
            let mut text = format!("event {}", call["state"].as_str().unwrap());
            for flag in ["held", "muted"] {
                if call[flag] == true {
                    text = format!("{text} {flag}");
                }
            }
            text
        }
        Output::Persistent { state, error, .. } => {
            let error = error.map_or_else(String::new, |(code, _)| format!(" {code}"));
            format!("persistent {state:?}{error}")
        }
        Output::OpenLeg { config, .. } => format!("open leg {}", config.far_end),
        Output::Leg { command, .. } => match command {
            LegCommand::Answer(_) => "leg answer".into(),
            LegCommand::Candidate { .. } => "leg candidate".into(),
            LegCommand::FarEnd(source) => format!("leg far end {source}"),
            other => format!("leg {other:?}"),
        },
        Output::Reply(token) => format!("reply {token}"),
        Output::Violation { what, detail, .. } => format!("VIOLATION {what:?}: {detail}"),
        Output::Note { text, .. } => format!("note {text}"),
    }
}
