//! SDP over XMPP: JSON-RPC in `<genesys-webrtc>` (genesys-protocol 5.3).

use super::{Malformed, Outgoing, candidate, condition, reason_from};
use crate::genesys::id::{ConversationId, Jid, SessionId};
use crate::genesys::rest::wire::json_trouble;
use crate::genesys::signal::{Candidate, Form, Offer, Reason, Signal, StatisticsReport};
use crate::genesys::stream::Own;
use crate::genesys::xml::{Element, ns};
use serde::Serialize;
use serde_json::Value;

/// The mid of a fragment that names none, when the offer is not known either: in practice always this [inferred].
const DEFAULT_MID: &str = "audio";

/// Reads a request. `mid_of` knows the media section of an offer seen before.
pub(super) fn read(
    from: &Jid,
    text: &str,
    mid_of: impl Fn(&SessionId) -> Option<String>,
) -> Result<Vec<Signal>, Malformed> {
    let request: Value =
        serde_json::from_str(text).map_err(|e| Malformed::new(json_trouble(&e)))?;
    let method = request.get("method").and_then(Value::as_str);
    let params = &request["params"];
    let session = || {
        text_of(params, "sessionId")
            .map(SessionId::from)
            .ok_or_else(|| Malformed::new("a call request without session id"))
    };
    let sdp = || text_of(params, "sdp").ok_or_else(|| Malformed::new("a call request without SDP"));
    match method {
        Some("offer") => Ok(vec![Signal::Offer(Offer {
            session: session()?,
            conversation: text_of(params, "conversationId").map(ConversationId::from),
            peer: from.clone(),
            sdp: sdp()?.to_owned(),
            reinvite: is_true(&params["reinvite"]),
            request_id: id_text(&request["id"]),
            form: Form::SdpOverXmpp,
        })]),
        Some("iceCandidate") => {
            let session = session()?;
            Ok(fragment(&session, sdp()?, &mid_of))
        }
        Some("terminate") => Ok(vec![Signal::Terminate {
            session: session()?,
            reason: text_of(params, "reason").map_or(Reason::Success, reason_from),
        }]),
        // Other methods, and replies, are ignored silently.
        _ => Ok(Vec::new()),
    }
}

pub(super) fn answer(own: &Own, to: &Jid, session: &SessionId, sdp: &str) -> Outgoing {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        sdp: &'a str,
        session_id: &'a SessionId,
    }
    let params = Params {
        sdp,
        session_id: session,
    };
    call(own, to, "answer", &params)
}

/// `sdpMid` is the mid of the media section, not its type.
pub(super) fn candidate(own: &Own, to: &Jid, session: &SessionId, local: &Candidate) -> Outgoing {
    let sdp = format!("m={} 9 RTP/AVP 0\r\na={}\r\n", local.mid, local.candidate);
    send_fragment(own, to, session, &sdp)
}

pub(super) fn end_of_candidates(own: &Own, to: &Jid, session: &SessionId) -> Outgoing {
    send_fragment(own, to, session, "a=end-of-candidates\r\n")
}

pub(super) fn active(own: &Own, to: &Jid, session: &SessionId) -> Outgoing {
    /// The SDK writes this one's members in another order.
    #[derive(Serialize)]
    struct Info<'a> {
        jsonrpc: &'static str,
        params: Params<'a>,
        method: &'static str,
        id: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        session_id: &'a SessionId,
        status: &'static str,
    }
    let info = Info {
        jsonrpc: "2.0",
        params: Params {
            session_id: session,
            status: "active",
        },
        method: "info",
        id: uuid::Uuid::new_v4().to_string(),
    };
    envelope(own, to, &info)
}

pub(super) fn terminate(own: &Own, to: &Jid, session: &SessionId, reason: Reason) -> Outgoing {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        session_id: &'a SessionId,
        reason: String,
    }
    let params = Params {
        session_id: session,
        reason: condition(reason),
    };
    call(own, to, "terminate", &params)
}

/// 5.8. The one request without `from`.
pub(super) fn statistics(report: &StatisticsReport, now: jiff::Timestamp) -> Outgoing {
    let json = serde_json::json!({
        "jsonrpc": "2.0",
        "method": "report-statistics",
        "params": {
            "sessionId": report.session,
            "conversationId": report.conversation,
            "communicationId": report.communication,
            "stats": {
                "client": {
                    "originAppName": "Offhook",
                    "originAppId": "offhook",
                    "originAppVersion": env!("CARGO_PKG_VERSION"),
                },
                "rtp": {
                    "packetsReceived": report.packets_received,
                    "averageJitter": report.average_jitter,
                    "estimatedAverageMos": report.average_mos,
                },
                "dateCreated": format!("{now:.3}"),
                "reconnectAttemptCount": report.reconnects,
            },
        },
        "id": uuid::Uuid::new_v4().to_string(),
    });
    Outgoing::Request(
        Element::new("iq", ns::CLIENT)
            .with("type", "set")
            .with("to", report.to.as_str())
            .with_child(Element::new("genesys-webrtc", ns::GENESYS).with_text(&json.to_string())),
    )
}

fn send_fragment(own: &Own, to: &Jid, session: &SessionId, sdp: &str) -> Outgoing {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        session_id: &'a SessionId,
        sdp: &'a str,
    }
    let params = Params {
        session_id: session,
        sdp,
    };
    call(own, to, "iceCandidate", &params)
}

fn call(own: &Own, to: &Jid, method: &'static str, params: &impl Serialize) -> Outgoing {
    #[derive(Serialize)]
    struct Call<'a, P> {
        jsonrpc: &'static str,
        method: &'static str,
        params: &'a P,
        id: String,
    }
    let call = Call {
        jsonrpc: "2.0",
        method,
        params,
        id: uuid::Uuid::new_v4().to_string(),
    };
    envelope(own, to, &call)
}

fn envelope(own: &Own, to: &Jid, request: &impl Serialize) -> Outgoing {
    // Structures of text only: turning them into JSON cannot fail.
    let json = serde_json::to_string(request).unwrap_or_default();
    Outgoing::Request(
        Element::new("iq", ns::CLIENT)
            .with("type", "set")
            .with("from", own.full.as_str())
            .with("to", to.as_str())
            .with_child(Element::new("genesys-webrtc", ns::GENESYS).with_text(&json)),
    )
}

fn fragment(
    session: &SessionId,
    sdp: &str,
    mid_of: impl Fn(&SessionId) -> Option<String>,
) -> Vec<Signal> {
    let fragment = candidate::read_fragment(sdp);
    let mid = fragment
        .mid
        .or_else(|| mid_of(session))
        .unwrap_or_else(|| DEFAULT_MID.to_owned());
    let mut signals: Vec<Signal> = fragment
        .candidates
        .into_iter()
        .map(|candidate| Signal::Candidate {
            session: session.clone(),
            candidate: Candidate {
                mid: mid.clone(),
                candidate,
            },
        })
        .collect();
    if fragment.end {
        signals.push(Signal::EndOfCandidates {
            session: session.clone(),
        });
    }
    signals
}

fn text_of<'a>(params: &'a Value, name: &str) -> Option<&'a str> {
    params
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => text == "true",
        _ => false,
    }
}

fn id_text(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_in_section_5_8_and_has_no_from() {
        let report = StatisticsReport {
            session: "S".into(),
            to: "gw@acme.gjoll.test/1".into(),
            conversation: "C".into(),
            communication: "K-me".into(),
            packets_received: 500,
            average_jitter: 0.002,
            average_mos: 4.83,
            reconnects: 1,
        };
        let now = "2026-01-01T10:00:05Z".parse().expect("a time");
        let Outgoing::Request(iq) = statistics(&report, now) else {
            panic!("a reply is awaited");
        };
        assert_eq!(iq.attribute("from"), None);
        assert_eq!(iq.attribute("to"), Some("gw@acme.gjoll.test/1"));
        let json = iq.elements().next().expect("a child").text();
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["method"], "report-statistics");
        assert_eq!(
            json["params"],
            serde_json::json!({"sessionId":"S","conversationId":"C","communicationId":"K-me",
                "stats":{"client":{"originAppName":"Offhook","originAppId":"offhook",
                                   "originAppVersion":env!("CARGO_PKG_VERSION")},
                         "rtp":{"packetsReceived":500,"averageJitter":0.002,"estimatedAverageMos":4.83},
                         "dateCreated":"2026-01-01T10:00:05.000Z","reconnectAttemptCount":1}})
        );
    }
}
