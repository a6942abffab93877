//! Signaling in requests: JSON-RPC in `<genesys-webrtc>` (genesys-protocol 5.3) and Jingle (5.4).

use serde_json::Value;

use super::iq::Request;
use crate::engine::{Signal, SignalKind};
use crate::gateway::jingle::CONDITIONS;
use crate::gateway::jingle::{self, Action};
use crate::journal::ViolationKind;
use crate::spec::Form;
use crate::world::World;
use crate::xml::Element;

/// What is wrong with a JSON-RPC message.
type Fault = (ViolationKind, String);

impl World {
    pub(super) fn genesys_webrtc(&mut self, request: &Request<'_>, child: &Element) {
        // The result comes at once: the client waits for it whatever becomes of the message.
        self.succeed(request, "");
        match rpc(&child.text) {
            Ok((session, kind)) => {
                if request.from.is_none() && kind != SignalKind::Statistics {
                    let detail = "an iq with <genesys-webrtc> without from; the client tells it";
                    self.violate(Some(request.user), ViolationKind::MissingField, detail);
                }
                self.signal(request, session, kind);
            }
            Err((what, detail)) => self.violate(Some(request.user), what, detail),
        }
    }

    pub(super) fn jingle(&mut self, request: &Request<'_>, child: &Element) {
        let read = match jingle::read(&child.raw) {
            Ok(read) => read,
            Err(error) => {
                let detail = format!("jingle: {error}");
                self.violate(Some(request.user), ViolationKind::UnexpectedStanza, detail);
                return self.refuse(request, "modify", "bad-request");
            }
        };
        let ends = matches!(read.action, Action::SessionTerminate(_));
        if self.engine.session(&read.sid).is_none() && !ends {
            let unknown = "<unknown-session xmlns=\"urn:xmpp:jingle:errors:1\"/>";
            self.refuse_with(request, "cancel", "item-not-found", unknown);
        } else {
            self.succeed(request, "");
        }
        let session = read.sid;
        match read.action {
            Action::SessionAccept => {
                self.signal(
                    request,
                    session,
                    SignalKind::JingleAccept(child.raw.clone()),
                );
            }
            Action::TransportInfo(info) => {
                if let (Some(ufrag), Some(pwd)) = (info.ufrag, info.pwd) {
                    let kind = SignalKind::IceRestart(ufrag, pwd);
                    self.signal(request, session.clone(), kind);
                }
                if !info.candidates.is_empty() {
                    let candidates = info
                        .candidates
                        .into_iter()
                        .map(|line| (line, "audio".into()))
                        .collect();
                    let kind = SignalKind::Candidates(Form::Jingle, candidates);
                    self.signal(request, session.clone(), kind);
                }
                if info.complete {
                    self.signal(request, session, SignalKind::EndOfCandidates(Form::Jingle));
                }
            }
            Action::Active => self.signal(request, session, SignalKind::Active(Form::Jingle)),
            Action::Mute(muted) => {
                self.signal(request, session, SignalKind::Mute(Form::Jingle, muted));
            }
            Action::SessionTerminate(reason) => {
                self.signal(
                    request,
                    session,
                    SignalKind::Terminate(Form::Jingle, reason),
                );
            }
        }
    }

    fn signal(&mut self, request: &Request<'_>, session: String, kind: SignalKind) {
        let signal = Signal {
            user: request.user.to_owned(),
            from: request.full.to_owned(),
            to: request.to.unwrap_or_default().to_owned(),
            session,
            kind,
        };
        self.engine.signal(self.now, signal);
    }
}

/// Reads a JSON-RPC message of a client: the session it is about and what it says.
fn rpc(text: &str) -> Result<(String, SignalKind), Fault> {
    let message: Value = serde_json::from_str(text)
        .map_err(|error| (ViolationKind::MalformedFrame, format!("JSON-RPC: {error}")))?;
    if message["jsonrpc"] != "2.0" {
        let found = message["jsonrpc"].clone();
        return Err(missing(format!("jsonrpc is {found} and must be \"2.0\"")));
    }
    let method = field(&message, "method")?;
    if message["id"].as_str().is_none_or(str::is_empty) {
        return Err(missing(format!(
            "the JSON-RPC message {method:?} has no id"
        )));
    }
    let params = &message["params"];
    let session = field(params, "sessionId")
        .map_err(|(what, detail)| (what, format!("{method}: {detail}")))?
        .to_owned();
    let form = Form::SdpOverXmpp;
    let kind = match method {
        "answer" => SignalKind::Answer(field(params, "sdp")?.to_owned()),
        "iceCandidate" => candidate(field(params, "sdp")?)?,
        "info" => match field(params, "status")? {
            "active" => SignalKind::Active(form),
            other => return Err(missing(format!("info status {other:?}; \"active\" exists"))),
        },
        "terminate" => {
            let reason = params["reason"].as_str().unwrap_or("success");
            if !CONDITIONS.contains(&reason) {
                return Err(missing(format!(
                    "terminate reason {reason:?} is no Jingle condition"
                )));
            }
            SignalKind::Terminate(form, reason.to_owned())
        }
        "mute" | "unmute" => match field(params, "type")? {
            "audio" => SignalKind::Mute(form, method == "mute"),
            other => return Err(missing(format!("{method} of {other:?} on an audio call"))),
        },
        "report-statistics" => {
            for name in ["conversationId", "communicationId"] {
                field(params, name)?;
            }
            if !params["stats"]["rtp"].is_object() {
                return Err(missing("report-statistics without stats.rtp".into()));
            }
            SignalKind::Statistics
        }
        other => {
            let detail = format!("the gateway has no JSON-RPC method {other:?}");
            return Err((ViolationKind::UnknownMethod, detail));
        }
    };
    Ok((session, kind))
}

fn field<'a>(value: &'a Value, name: &str) -> Result<&'a str, Fault> {
    value[name]
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| missing(format!("{name} is missing or no text")))
}

fn missing(detail: String) -> Fault {
    (ViolationKind::MissingField, detail)
}

/// `m={mid} 9 RTP/AVP 0 CRLF a=candidate:... CRLF`, or `a=end-of-candidates CRLF`. Streaming
/// clients before 19 leave out the last CRLF.
fn candidate(fragment: &str) -> Result<SignalKind, Fault> {
    let form = Form::SdpOverXmpp;
    let body = fragment.strip_suffix("\r\n").unwrap_or(fragment);
    if body == "a=end-of-candidates" {
        return Ok(SignalKind::EndOfCandidates(form));
    }
    let bad = |why: &str| (ViolationKind::BadCandidate, format!("{why}: {fragment:?}"));
    let (media, line) = body
        .split_once("\r\n")
        .ok_or_else(|| bad("it is not two lines"))?;
    let mid = media
        .strip_prefix("m=")
        .and_then(|media| media.strip_suffix(" 9 RTP/AVP 0"))
        .filter(|mid| !mid.is_empty() && !mid.contains(' '))
        .ok_or_else(|| bad("the first line is not \"m={mid} 9 RTP/AVP 0\""))?;
    let line = line
        .strip_prefix("a=")
        .filter(|line| line.starts_with("candidate:"))
        .ok_or_else(|| bad("the second line is not \"a=candidate:...\""))?;
    let words: Vec<&str> = line.split(' ').collect();
    // RFC 8839 section 5.1: foundation, component, transport, priority, address, port, typ, type.
    let [
        _,
        component,
        transport,
        priority,
        address,
        port,
        "typ",
        _,
        ..,
    ] = words[..]
    else {
        return Err(bad("it is no candidate line"));
    };
    if priority.parse::<u32>().is_err() || port.parse::<u16>().is_err() {
        return Err(bad("priority or port is no number"));
    }
    if component != "1" {
        return Err(bad("with rtcp-mux there is only component 1"));
    }
    // Off by default in the client (genesys-protocol 5.3).
    if !transport.eq_ignore_ascii_case("udp") {
        return Err(bad("only UDP candidates are sent"));
    }
    let host = words.get(7) == Some(&"host");
    if host && address.parse::<std::net::IpAddr>().is_err() {
        return Err(bad("host candidates are addresses, not names"));
    }
    Ok(SignalKind::Candidates(
        form,
        vec![(line.to_owned(), mid.to_owned())],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "m=audio 9 RTP/AVP 0\r\na=candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host generation 0 ufrag Xy\r\n";

    #[test]
    fn candidates_have_one_form() {
        let Ok(SignalKind::Candidates(_, found)) = candidate(GOOD) else {
            panic!()
        };
        assert_eq!(found[0].1, "audio");
        assert!(found[0].0.starts_with("candidate:1 1 udp"));
        assert_eq!(
            candidate("a=end-of-candidates\r\n"),
            Ok(SignalKind::EndOfCandidates(Form::SdpOverXmpp))
        );
        for (from, to) in [
            ("m=audio 9 RTP/AVP 0\r\n", ""),
            ("m=audio 9", "m=audio 1"),
            ("a=candidate", "candidate"),
            ("\r\na=", "\na="),
            (" udp ", " tcp "),
            ("192.168.1.5", "x.local"),
            ("candidate:1 1", "candidate:1 2"),
            ("50000", "70000"),
            (" typ host", ""),
        ] {
            let (what, detail) = candidate(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!(
                what,
                ViolationKind::BadCandidate,
                "{from} -> {to}: {detail}"
            );
        }
    }

    #[test]
    fn messages_are_read_strictly() {
        let message = |method: &str, params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":"1","method":"{method}","params":{params}}}"#)
        };
        for (method, params) in [
            ("answer", r#"{"sessionId":"S","sdp":"v=0"}"#),
            ("info", r#"{"sessionId":"S","status":"active"}"#),
            ("terminate", r#"{"sessionId":"S","reason":"success"}"#),
            ("terminate", r#"{"sessionId":"S"}"#),
            ("mute", r#"{"sessionId":"S","type":"audio"}"#),
            (
                "report-statistics",
                r#"{"sessionId":"S","conversationId":"C","communicationId":"K","stats":{"rtp":{}}}"#,
            ),
        ] {
            assert_eq!(rpc(&message(method, params)).unwrap().0, "S", "{method}");
        }
        for (text, what) in [
            ("{".to_owned(), ViolationKind::MalformedFrame),
            (
                message("offer", r#"{"sessionId":"S"}"#),
                ViolationKind::UnknownMethod,
            ),
            (
                message("answer", r#"{"sessionId":"S"}"#),
                ViolationKind::MissingField,
            ),
            (
                message("answer", r#"{"sdp":"v=0"}"#),
                ViolationKind::MissingField,
            ),
            (
                message("info", r#"{"sessionId":"S","status":"x"}"#),
                ViolationKind::MissingField,
            ),
            (
                message("terminate", r#"{"sessionId":"S","reason":"x"}"#),
                ViolationKind::MissingField,
            ),
            (
                r#"{"id":"1","method":"answer","params":{}}"#.to_owned(),
                ViolationKind::MissingField,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"info","params":{"sessionId":"S","status":"active"}}"#
                    .to_owned(),
                ViolationKind::MissingField,
            ),
        ] {
            assert_eq!(rpc(&text).unwrap_err().0, what, "{text}");
        }
    }
}
