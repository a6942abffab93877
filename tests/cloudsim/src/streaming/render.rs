//! Server stanzas as text.

use std::net::SocketAddr;

use serde_json::json;
use uuid::Uuid;

use super::{
    BIND, CLIENT, EXTDISCO, FRAMING, GENESYS, JINGLE_MESSAGE, PING, PUBSUB, SASL, STANZAS,
};
use crate::engine::CloudStanza;
use crate::spec::TurnServer;
use crate::xml::{attributes, escape};

const STREAMS: &str = "http://etherx.jabber.org/streams";

/// A request that was rendered.
pub(crate) struct Sent {
    /// Its id.
    pub id: String,
    /// What it is, for messages.
    pub what: String,
    /// Whether the client answers it.
    pub answered: bool,
    /// Whether it may answer with an error.
    pub refusable: bool,
}

pub(crate) fn open(domain: &str, stream: &str) -> String {
    let head = attributes(&[("from", Some(domain)), ("id", Some(stream))]);
    format!("<open xmlns=\"{FRAMING}\"{head} version=\"1.0\" xml:lang=\"en\"/>")
}

pub(crate) fn close() -> String {
    format!("<close xmlns=\"{FRAMING}\"/>")
}

pub(crate) fn sasl_features() -> String {
    format!(
        "<stream:features xmlns:stream=\"{STREAMS}\"><mechanisms xmlns=\"{SASL}\"><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
    )
}

pub(crate) fn bind_features() -> String {
    format!(
        "<stream:features xmlns:stream=\"{STREAMS}\"><bind xmlns=\"{BIND}\"/></stream:features>"
    )
}

pub(crate) fn success() -> String {
    format!("<success xmlns=\"{SASL}\"/>")
}

pub(crate) fn sasl_failure(condition: &str) -> String {
    // The name of an element; anything else would be another test than the one that was meant.
    let condition: String = condition
        .chars()
        .filter(|one| one.is_ascii_lowercase() || *one == '-')
        .collect();
    format!("<failure xmlns=\"{SASL}\"><{condition}/></failure>")
}

pub(crate) fn stream_error(condition: &str) -> String {
    format!(
        "<stream:error xmlns:stream=\"{STREAMS}\"><{condition} xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/></stream:error>"
    )
}

pub(crate) fn bound(id: &str, bare: &str, full: &str) -> String {
    let head = attributes(&[("id", Some(id)), ("to", Some(bare))]);
    format!(
        "<iq xmlns=\"{CLIENT}\" type=\"result\"{head}><bind xmlns=\"{BIND}\"><jid>{}</jid></bind></iq>",
        escape(full)
    )
}

pub(crate) fn result(id: &str, from: Option<&str>, to: &str, content: &str) -> String {
    let head = attributes(&[("id", Some(id)), ("from", from), ("to", Some(to))]);
    if content.is_empty() {
        return format!("<iq xmlns=\"{CLIENT}\" type=\"result\"{head}/>");
    }
    format!("<iq xmlns=\"{CLIENT}\" type=\"result\"{head}>{content}</iq>")
}

pub(crate) fn iq_error(
    id: &str,
    from: Option<&str>,
    to: &str,
    kind: &str,
    condition: &str,
    code: Option<u16>,
    more: &str,
) -> String {
    let head = attributes(&[
        ("id", Some(id)),
        ("from", from),
        ("to", Some(to).filter(|to| !to.is_empty())),
    ]);
    let code = code.map(|code| code.to_string());
    let error = attributes(&[("type", Some(kind)), ("code", code.as_deref())]);
    format!(
        "<iq xmlns=\"{CLIENT}\" type=\"error\"{head}><error{error}><{condition} xmlns=\"{STANZAS}\"/>{more}</error></iq>"
    )
}

pub(crate) fn turn_services(servers: &[TurnServer]) -> String {
    let each: Vec<String> = servers
        .iter()
        .map(|server| {
            let tls = server.transport == "tls";
            let head = attributes(&[
                ("type", Some(if tls { "turns" } else { "turn" })),
                (
                    "transport",
                    Some(if tls { "tcp" } else { &server.transport }),
                ),
                ("host", Some(&server.host)),
                ("port", Some(&server.port.to_string())),
                ("username", Some(&server.username)),
                ("password", Some(&server.password)),
            ]);
            format!("<service{head}/>")
        })
        .collect();
    format!(
        "<services xmlns=\"{EXTDISCO}\" type=\"turn\">{}</services>",
        each.concat()
    )
}

pub(crate) fn stun_services(service: Option<SocketAddr>) -> String {
    let service = service.map_or_else(String::new, |address| {
        format!(
            "<service type=\"stun\" transport=\"udp\" host=\"{}\" port=\"{}\"/>",
            address.ip(),
            address.port()
        )
    });
    format!("<services xmlns=\"{EXTDISCO}\" type=\"stun\">{service}</services>")
}

pub(crate) fn subscription(node: &str, bare: &str, state: &str) -> String {
    let head = attributes(&[
        ("node", Some(node)),
        ("jid", Some(bare)),
        ("subscription", Some(state)),
    ]);
    format!("<pubsub xmlns=\"{PUBSUB}\"><subscription{head}/></pubsub>")
}

pub(crate) fn ping(id: &str, domain: &str, full: &str) -> String {
    let head = attributes(&[("id", Some(id)), ("from", Some(domain)), ("to", Some(full))]);
    format!("<iq xmlns=\"{CLIENT}\" type=\"get\"{head}><ping xmlns=\"{PING}\"/></iq>")
}

pub(crate) fn transfer(domain: &str, full: &str) -> String {
    let id = Uuid::new_v4().to_string();
    let head = attributes(&[
        ("id", Some(&id)),
        ("from", Some(domain)),
        ("to", Some(full)),
    ]);
    format!(
        "<iq xmlns=\"{CLIENT}\" type=\"set\"{head}><query xmlns=\"urn:xmpp:cxfr\"><server>192.0.2.1</server></query></iq>"
    )
}

pub(crate) fn notification(service: &str, full: &str, node: &str, json: &str) -> String {
    let (id, item) = (Uuid::new_v4(), Uuid::new_v4());
    let head = attributes(&[("from", Some(service)), ("to", Some(full))]);
    format!(
        "<message xmlns=\"{CLIENT}\"{head} id=\"{id}\"><event xmlns=\"http://jabber.org/protocol/pubsub#event\"><items node=\"{}\"><item id=\"{item}\"><json xmlns=\"urn:xmpp:json:0\">{}</json></item></items></event></message>",
        escape(node),
        escape(json)
    )
}

/// One of the gateway's stanzas for one resource; with the request it is, if it is one.
pub(crate) fn cloud_stanza(
    stanza: &CloudStanza,
    peer: &str,
    full: &str,
    user: &str,
    session: &str,
) -> (String, Option<Sent>) {
    match stanza {
        CloudStanza::Propose {
            conversation,
            auto_answer,
            sdp_over_xmpp,
            eager,
        } => {
            let propose = attributes(&[
                ("id", Some(session)),
                ("inin-cid", Some(conversation)),
                ("inin-user-id", Some(user)),
                (
                    "inin-autoanswer",
                    Some(if *auto_answer { "true" } else { "false" }),
                ),
                ("inin-sdp-over-xmpp", sdp_over_xmpp.then_some("true")),
                ("inin-priv-answer-mode", eager.then_some("Auto")),
            ]);
            let content = format!(
                "<propose xmlns=\"{JINGLE_MESSAGE}\"{propose}><description xmlns=\"urn:xmpp:jingle:apps:rtp:1\" media=\"audio\"/></propose>"
            );
            (message(peer, full, &content), None)
        }
        CloudStanza::Retract => {
            let head = attributes(&[("id", Some(session))]);
            let content = format!("<retract xmlns=\"{JINGLE_MESSAGE}\"{head}/>");
            (message(peer, full, &content), None)
        }
        CloudStanza::Offer {
            id,
            conversation,
            sdp,
            reinvite,
        } => {
            let mut params =
                json!({"sessionId": session, "conversationId": conversation, "sdp": sdp});
            if *reinvite {
                params["reinvite"] = json!(true);
            }
            genesys_webrtc("offer", id, &params, peer, full)
        }
        CloudStanza::Candidate { sdp } => {
            let params = json!({"sessionId": session, "sdp": sdp});
            genesys_webrtc(
                "iceCandidate",
                &Uuid::new_v4().to_string(),
                &params,
                peer,
                full,
            )
        }
        CloudStanza::Terminate { reason } => {
            let params = json!({"sessionId": session, "reason": reason});
            genesys_webrtc(
                "terminate",
                &Uuid::new_v4().to_string(),
                &params,
                peer,
                full,
            )
        }
        CloudStanza::Jingle { xml } | CloudStanza::JingleAgain { xml } => {
            let id = Uuid::new_v4().to_string();
            let text = iq_set(&id, peer, full, xml);
            let what = format!("a jingle request of session {session}");
            (
                text,
                Some(Sent {
                    id,
                    what,
                    answered: true,
                    refusable: matches!(stanza, CloudStanza::JingleAgain { .. }),
                }),
            )
        }
    }
}

fn genesys_webrtc(
    method: &str,
    rpc: &str,
    params: &serde_json::Value,
    peer: &str,
    full: &str,
) -> (String, Option<Sent>) {
    let json = json!({"jsonrpc": "2.0", "id": rpc, "method": method, "params": params});
    let id = Uuid::new_v4().to_string();
    let content = format!(
        "<genesys-webrtc xmlns=\"{GENESYS}\">{}</genesys-webrtc>",
        escape(&json.to_string())
    );
    let text = iq_set(&id, peer, full, &content);
    (
        text,
        Some(Sent {
            id,
            what: format!("JSON-RPC {method}"),
            answered: false,
            refusable: false,
        }),
    )
}

fn iq_set(id: &str, from: &str, to: &str, content: &str) -> String {
    let head = attributes(&[("id", Some(id)), ("from", Some(from)), ("to", Some(to))]);
    format!("<iq xmlns=\"{CLIENT}\" type=\"set\"{head}>{content}</iq>")
}

fn message(from: &str, to: &str, content: &str) -> String {
    let id = Uuid::new_v4().to_string();
    let head = attributes(&[("from", Some(from)), ("to", Some(to)), ("id", Some(&id))]);
    format!("<message xmlns=\"{CLIENT}\"{head}>{content}</message>")
}
