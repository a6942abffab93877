//! Values from the words of a script's line.

use super::show::word;
use crate::device::Private;
use crate::genesys::Identity;
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::model::{
    Call, CallParty, CallState, Conversation, Direction, ErrorInfo, Organization, Participant,
    Station, User, WrapUp,
};
use crate::genesys::rest::RestError;
use crate::media::{CodecKind, ConnectionState, MediaError, Negotiated, PeerEvent, Statistics};

/// Our full JID, and that of another client of the user.
pub(super) const OWN: &str = "me@acme.test/phone";
pub(super) const OTHER: &str = "me@acme.test/browser";

/// The words of an input line: plain ones, and `key=value`.
pub(super) struct Words<'a>(pub(super) Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn at(&self, index: usize) -> &'a str {
        self.0.get(index).copied().unwrap_or_default()
    }
    pub(super) fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }
    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
    }
}

pub(super) fn status_error(status: u16) -> RestError {
    RestError::Status {
        request: "request".to_owned(),
        status,
        code: None,
        message: None,
        correlation_id: None,
        retry_after: None,
    }
}

pub(super) fn from(words: &Words, session: &SessionId) -> Jid {
    match words.value("from") {
        Some("me") => OWN.into(),
        Some(other) => other.into(),
        None => Jid::new(format!("gw-{session}@acme.gjoll.test/1")),
    }
}

pub(super) fn station(words: &Words) -> Option<Station> {
    (!words.has("no-station")).then(|| Station {
        id: "ST".into(),
        r#type: Some("inin_webrtc_softphone".to_owned()),
        web_rtc_persistent_enabled: words.has("persistent"),
        web_rtc_call_appearances: Some(words.value("la").map_or(100, |la| la.parse().unwrap())),
        ..Station::default()
    })
}

pub(super) fn identity(station: Option<Station>) -> Identity {
    Identity {
        user: User {
            id: "U".into(),
            ..User::default()
        },
        organization: Organization::default(),
        bare_jid: "me@acme.test".into(),
        station,
    }
}

/// `C state [in|out] [held] [muted] [confined] [error=code] [purpose=agent] [p=P] [k=K] [name=..] [number=..] [not-me]`
/// `[recording=paused] [wrap-up=optional] [wrap-up-in=30000] [wrapped=W1] [also=terminated] [+P2:agent:connected:held:object=P-far ...]`
pub(super) fn conversation_of(words: &[&str]) -> Conversation {
    let words = Words(words.to_vec());
    let private = |key: &str| words.value(key).map(Private::from);
    let call = Call {
        id: words.value("k").unwrap_or("K").into(),
        state: word(words.at(1)),
        direction: if words.has("in") {
            Some(Direction::Inbound)
        } else {
            words.has("out").then_some(Direction::Outbound)
        },
        muted: words.has("muted"),
        confined: words.has("confined"),
        held: words.has("held"),
        other: private("number").map(|number| CallParty {
            name: private("name"),
            address_displayable: Some(number),
            ..CallParty::default()
        }),
        error_info: words.value("error").map(|code| ErrorInfo {
            code: Some(code.to_owned()),
            ..ErrorInfo::default()
        }),
        ..Call::default()
    };
    let customer = (!words.has("nobody")).then(|| Participant {
        id: "P-far".into(),
        purpose: Some("customer".to_owned()),
        name: private("customer"),
        calls: vec![Call {
            state: CallState::Connected,
            ..Call::default()
        }],
        ..Participant::default()
    });
    let me = Participant {
        id: words.value("p").unwrap_or("P").into(),
        wrapup_required: words.value("wrap-up").is_some(),
        wrapup_prompt: words.value("wrap-up").map(str::to_owned),
        wrapup_timeout_ms: words.value("wrap-up-in").map(|ms| ms.parse().unwrap()),
        wrapup: words.value("wrapped").map(|code| WrapUp {
            code: Some(code.to_owned()),
        }),
        purpose: Some(words.value("purpose").unwrap_or("agent").to_owned()),
        user_id: Some(if words.has("not-me") { "X" } else { "U" }.into()),
        calls: [Some(call), words.value("also").map(another)]
            .into_iter()
            .flatten()
            .collect(),
        ..Participant::default()
    };
    Conversation {
        id: words.at(0).into(),
        participants: customer
            .into_iter()
            .chain([me])
            .chain(
                words
                    .0
                    .iter()
                    .filter_map(|word| guest(word.strip_prefix('+')?)),
            )
            .collect(),
        recording_state: words.value("recording").map(word),
    }
}

/// Another call of ours in the same conversation.
fn another(state: &str) -> Call {
    Call {
        id: "K-also".into(),
        state: word(state),
        direction: Some(Direction::Inbound),
        ..Call::default()
    }
}

/// Another party: `P2:agent:connected:held:object=P-far`; with `user=U` of one of our users.
fn guest(text: &str) -> Option<Participant> {
    let parts: Vec<&str> = text.split(':').collect();
    let value = |key: &str| {
        let mut values = parts.iter().filter_map(|part| part.strip_prefix(key));
        values.find_map(|rest| rest.strip_prefix('='))
    };
    let [id, purpose, state, ..] = parts.as_slice() else {
        return None; // A number: `+1317...` belongs to `number=`.
    };
    Some(Participant {
        id: (*id).into(),
        purpose: Some((*purpose).to_owned()),
        user_id: value("user").map(Into::into),
        consult_participant_id: value("object").map(Into::into),
        calls: vec![Call {
            id: format!("K-{id}").as_str().into(),
            state: word(state),
            held: parts.contains(&"held"),
            muted: parts.contains(&"muted"),
            confined: parts.contains(&"confined"),
            ..Call::default()
        }],
        ..Participant::default()
    })
}

/// What the answer of every test call agrees on.
pub(super) fn negotiated(dtmf: bool) -> Negotiated {
    Negotiated {
        codec: CodecKind::Opus,
        payload_type: 111,
        dtmf_payload_type: dtmf.then_some(101),
        noise_payload_type: None,
        sending: true,
        receiving: true,
        frame_ms: 20,
    }
}

pub(super) fn peer(words: &Words) -> PeerEvent {
    match words.at(2) {
        "answered" => PeerEvent::Answered {
            sdp: "answer".to_owned(),
            negotiated: negotiated(words.has("dtmf")),
        },
        "candidate" => PeerEvent::Candidate {
            mid: "audio".to_owned(),
            candidate: words.at(3).to_owned(),
        },
        "gathered" => PeerEvent::GatheringComplete,
        "digits-sent" => PeerEvent::DtmfSent,
        "failed-offer" => PeerEvent::Failed(match words.at(3) {
            "no-audio" => MediaError::NoAudio,
            "no-codec" => MediaError::NoCommonCodec("G729".to_owned()),
            "bad-sdp" => MediaError::BadSdp("no v=".to_owned()),
            "no-stream" => MediaError::NoStream(4),
            "no-digits" => MediaError::NoTelephoneEvent,
            other => panic!("unknown media error {other}"),
        }),
        "connecting" => PeerEvent::Connection(ConnectionState::Connecting),
        "connected" => PeerEvent::Connection(ConnectionState::Connected),
        "interrupted" => PeerEvent::Connection(ConnectionState::Disconnected),
        "failed" => PeerEvent::Connection(ConnectionState::Failed),
        "statistics" => {
            let number = |key: &str| words.value(key).map_or(0, |n| n.parse().unwrap());
            PeerEvent::Statistics(Statistics {
                connection: ConnectionState::Connected,
                packets_received: number("received"),
                packets_lost: number("lost").cast_signed(),
                jitter_ms: number("jitter") as f64,
                rtt_total_ms: number("rtt") as f64,
                rtt_count: u32::from(words.value("rtt").is_some()),
                ..Statistics::default()
            })
        }
        "closed" => PeerEvent::Connection(ConnectionState::Closed),
        other => panic!("unknown peer event {other}"),
    }
}
