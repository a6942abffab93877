//! Inputs that the generated tests are made of.

use super::values::{OWN, conversation_of, negotiated};
use crate::genesys::CloudEvent;
use crate::genesys::model::{ConversationEvent, RawJson};
use crate::genesys::signal::{Form, Offer, Propose, Signal};
use crate::media::PeerEvent;
use crate::softphone::Input;

pub(super) fn event(line: &str) -> Input {
    let words: Vec<&str> = line.split_whitespace().collect();
    Input::Cloud(CloudEvent::Conversation(Box::new(ConversationEvent {
        conversation: conversation_of(&words),
        raw: RawJson::default(),
    })))
}

pub(super) fn signal(signal: Signal) -> Input {
    Input::Cloud(CloudEvent::Signal(signal))
}

pub(super) fn propose(session: &str, conversation: &str, auto_answer: bool, eager: bool) -> Input {
    signal(Signal::Propose(Propose {
        session: session.into(),
        conversation: conversation.into(),
        from: "gw@acme.gjoll.test/1".into(),
        to: OWN.into(),
        auto_answer,
        form: Form::SdpOverXmpp,
        eager,
        original_from: "gw@acme.gjoll.test/1".into(),
        from_user: None,
    }))
}

pub(super) fn offer(session: &str, conversation: &str, ice: u8, reinvite: bool) -> Input {
    signal(Signal::Offer(Offer {
        session: session.into(),
        conversation: Some(conversation.into()),
        peer: "gw@acme.gjoll.test/1".into(),
        sdp: format!("a=ice-ufrag:{ice}\r\na=ice-pwd:{ice}\r\n"),
        reinvite,
        request_id: format!("{session}{ice}"),
        form: Form::SdpOverXmpp,
    }))
}

pub(super) fn answered() -> PeerEvent {
    PeerEvent::Answered {
        sdp: "answer".to_owned(),
        negotiated: negotiated(true),
    }
}
