//! Message initiation, namespace `urn:xmpp:jingle-message:0` (genesys-protocol 5.2).

use super::Malformed;
use crate::genesys::id::{ConversationId, Jid, SessionId};
use crate::genesys::signal::{Form, Propose, Signal};
use crate::genesys::stream::Own;
use crate::genesys::xml::{Element, ns};

/// Reads a message; `None` when it has nothing for us.
pub(super) fn read(own: &Own, stanza: &Element) -> Result<Option<Signal>, Malformed> {
    let Some(child) = stanza
        .elements()
        .find(|child| child.ns == ns::JINGLE_MESSAGE)
    else {
        return Ok(None);
    };
    let session = child
        .attribute("id")
        .map(SessionId::from)
        .ok_or_else(|| Malformed::new(format!("<{}> without id", child.name)))?;
    let from = stanza.attribute("from").map(Jid::from);
    match child.name.as_str() {
        "propose" => {
            let from = from.ok_or_else(|| Malformed::new("<propose> without sender"))?;
            if from == own.full {
                return Ok(None);
            }
            propose(own, stanza, child, session, from).map(|propose| Some(Signal::Propose(propose)))
        }
        "retract" => Ok(Some(Signal::Retract { session })),
        "accept" | "reject" => Ok(Some(Signal::Handled {
            session,
            // Without a sender it is from our own account (RFC 6120 8.1.2.1).
            from: from.unwrap_or_else(|| own.bare.clone()),
        })),
        // `proceed` goes to gateways only, and other words are of later versions.
        _ => Ok(None),
    }
}

/// `<message to=..><NAME id=../></message>`: no id, no type, no sender.
pub(super) fn write(name: &str, to: &Jid, session: &SessionId) -> Element {
    Element::new("message", ns::CLIENT)
        .with("to", to.as_str())
        .with_child(Element::new(name, ns::JINGLE_MESSAGE).with("id", session.as_str()))
}

fn propose(
    own: &Own,
    stanza: &Element,
    child: &Element,
    session: SessionId,
    from: Jid,
) -> Result<Propose, Malformed> {
    let conversation = child
        .attribute("inin-cid")
        .map(ConversationId::from)
        .ok_or_else(|| Malformed::new("<propose> without conversation"))?;
    let flag = |name| matches!(child.attribute(name), Some("true" | "1"));
    Ok(Propose {
        session,
        conversation,
        to: stanza
            .attribute("to")
            .map_or_else(|| own.full.clone(), Jid::from),
        auto_answer: flag("inin-autoanswer"),
        form: if flag("inin-sdp-over-xmpp") {
            Form::SdpOverXmpp
        } else {
            Form::Jingle
        },
        eager: child.attribute("inin-priv-answer-mode") == Some("Auto"),
        original_from: child
            .attribute("inin-ofrom")
            .map_or_else(|| from.clone(), Jid::from),
        from_user: child.attribute("inin-user-id").map(str::to_owned),
        from,
    })
}
