//! A network for tests: HTTP is a function, links are channels, and time can stand still.

use super::{Link, LinkError, OpenError, Transport};
use crate::device::Private;
use crate::genesys::login::{self, TokenRequest};
use crate::genesys::rest::RestError;
use crate::genesys::rest::wire::{HttpReply, HttpRequest};
use crate::genesys::xml::{Element, parse};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

type Http = dyn Fn(&str, &str, Option<&[u8]>) -> Answer + Send + Sync;

/// What the scripted HTTP server does.
pub(crate) enum Answer {
    Reply(HttpReply),
    Fail(RestError),
    /// Never answers.
    Silence,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Reply(HttpReply {
            status,
            body: body.to_string().into_bytes(),
            ..HttpReply::default()
        })
    }
}

/// See the module.
pub(crate) struct Scripted {
    http: Box<Http>,
    /// Links that are refused before the rest is accepted.
    pub refusals: Mutex<VecDeque<OpenError>>,
    /// Links that never open.
    pub silent_opens: Mutex<u32>,
    opened: mpsc::UnboundedSender<ServerEnd>,
    /// `METHOD /path token`, in order; for `POST /oauth/token` the form in the token's place.
    pub requests: Mutex<Vec<String>>,
}

/// The server's end of a link.
pub(crate) struct ServerEnd {
    pub channel: String,
    to_client: mpsc::UnboundedSender<Result<String, LinkError>>,
    from_client: mpsc::UnboundedReceiver<String>,
}

impl Scripted {
    /// `http` gets `METHOD /path`, the token and the body; for `POST /oauth/token` the client's `id:secret` in the
    /// token's place, or nothing. The receiver gets every link that is opened.
    pub(crate) fn new(
        http: impl Fn(&str, &str, Option<&[u8]>) -> Answer + Send + Sync + 'static,
    ) -> (Self, mpsc::UnboundedReceiver<ServerEnd>) {
        let (opened, links) = mpsc::unbounded_channel();
        let scripted = Self {
            http: Box::new(http),
            refusals: Mutex::default(),
            silent_opens: Mutex::default(),
            opened,
            requests: Mutex::default(),
        };
        (scripted, links)
    }
}

impl Scripted {
    async fn answer(
        &self,
        line: String,
        token: String,
        body: Option<Vec<u8>>,
    ) -> Result<HttpReply, RestError> {
        match (self.http)(&line, &token, body.as_deref()) {
            Answer::Reply(reply) => Ok(reply),
            Answer::Fail(error) => Err(error),
            Answer::Silence => std::future::pending().await,
        }
    }
}

impl Transport for Scripted {
    fn http<'a>(
        &'a self,
        request: &'a HttpRequest,
        token: &'a Private,
    ) -> BoxFuture<'a, Result<HttpReply, RestError>> {
        let line = request.describe();
        let logged = format!("{line} {}", token.expose());
        self.requests.lock().expect("no panic").push(logged);
        let body = request.body.clone();
        Box::pin(self.answer(line, token.expose().to_owned(), body))
    }

    fn token<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<HttpReply, RestError>> {
        let basic = request.basic.as_ref();
        let basic = basic.map(|(id, secret)| format!("{id}:{}", secret.expose()));
        let logged = format!("{} {}", login::REQUEST, request.form.expose());
        self.requests.lock().expect("no panic").push(logged);
        let body = Some(request.form.expose().as_bytes().to_vec());
        Box::pin(self.answer(login::REQUEST.to_owned(), basic.unwrap_or_default(), body))
    }

    fn open<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Link, OpenError>> {
        Box::pin(async move {
            if let Some(refusal) = self.refusals.lock().expect("no panic").pop_front() {
                return Err(refusal);
            }
            let silent = {
                let mut left = self.silent_opens.lock().expect("no panic");
                let silent = *left > 0;
                *left = left.saturating_sub(1);
                silent
            };
            if silent {
                std::future::pending::<()>().await;
            }
            let (to_client, incoming) = mpsc::unbounded_channel();
            let (outgoing, from_client) = mpsc::unbounded_channel();
            let end = ServerEnd {
                channel: channel.to_owned(),
                to_client,
                from_client,
            };
            self.opened.send(end).expect("the test listens");
            let outgoing = futures_util::sink::unfold(outgoing, async |outgoing, text| {
                match mpsc::UnboundedSender::send(&outgoing, text) {
                    Ok(()) => Ok(outgoing),
                    Err(_) => Err(LinkError("gone".to_owned())),
                }
            });
            Ok(Link {
                outgoing: Box::pin(outgoing.sink_map_err(|error: LinkError| error)),
                incoming: Box::pin(UnboundedReceiverStream::new(incoming).fuse()),
            })
        })
    }
}

impl ServerEnd {
    pub(crate) fn send(&self, text: impl Into<String>) {
        // A client that has gone is what some tests are about.
        let _ = self.to_client.send(Ok(text.into()));
    }

    /// The link breaks.
    pub(crate) fn break_link(&self, why: &str) {
        let _ = self.to_client.send(Err(LinkError(why.to_owned())));
    }

    /// The client's next stanza; `None` when it has closed the link.
    pub(crate) async fn receive(&mut self) -> Option<Element> {
        let text = self.from_client.recv().await?;
        Some(parse(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
    }
}

/// What a well-behaved server answers to a stanza; nothing to one that needs no answer.
pub(crate) fn well_behaved(stanza: &Element, full_jid: &str) -> Vec<String> {
    const OPEN: &str = r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" id="strm"/>"#;
    // What is for the first step and what is for the second: the client takes what it wants next.
    const FEATURES: &str = concat!(
        r#"<stream:features xmlns:stream="http://etherx.jabber.org/streams">"#,
        r#"<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms>"#,
        r#"<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>"#
    );
    let text = stanza.to_string();
    let inside = match stanza.name.as_str() {
        "open" => return vec![OPEN.to_owned(), FEATURES.to_owned()],
        "close" => return vec![r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#.to_owned()],
        "auth" => return vec![r#"<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#.to_owned()],
        "iq" if text.contains("<bind ") => format!(
            r#"<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>{full_jid}</jid></bind>"#
        ),
        "iq" if text.contains(r#"type="stun""#) => r#"<services xmlns="urn:xmpp:extdisco:1"><service type="stun" host="s.test" port="3478"/></services>"#.to_owned(),
        "iq" if ["<services", "<subscribe", "urn:xmpp:ping"].iter().any(|w| text.contains(w)) => {
            String::new()
        }
        _ => return Vec::new(),
    };
    let id = stanza.attribute("id").unwrap_or_default();
    vec![format!(
        r#"<iq xmlns="jabber:client" id="{id}" type="result">{inside}</iq>"#
    )]
}
