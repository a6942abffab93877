//! The streaming connection: XMPP over WebSocket (RFC 7395, genesys-protocol 3).
//!
//! [`serve`] moves frames; everything else is methods of [`World`] that take a frame and queue
//! frames, split by what they deal with.

mod iq;
mod message;
mod negotiate;
mod outgoing;
pub(crate) mod render;
mod signaling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;

use crate::cloud::Cloud;
use crate::journal::{LogKind, ViolationKind};
use crate::world::World;
use crate::xml::Element;

pub(crate) const CLIENT: &str = "jabber:client";
pub(crate) const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
pub(crate) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub(crate) const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
pub(crate) const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
pub(crate) const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
pub(crate) const PING: &str = "urn:xmpp:ping";
pub(crate) const EXTDISCO: &str = "urn:xmpp:extdisco:1";
pub(crate) const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
pub(crate) const GENESYS: &str = "genesys";
pub(crate) const JINGLE: &str = "urn:xmpp:jingle:1";
pub(crate) const JINGLE_MESSAGE: &str = "urn:xmpp:jingle-message:0";

/// Where a connection is in its negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the first `<open>`.
    Opening,
    /// Waits for `<auth>`.
    Authenticating,
    /// Authenticated; waits for the second `<open>`.
    Reopening,
    /// Waits for the bind.
    Binding,
    /// Stanzas flow.
    Bound,
    /// `<close>` went out.
    Closing,
}

/// What goes to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// One element.
    Text(String),
    /// The WebSocket's close.
    Close,
    /// Break off without a word.
    Drop,
}

/// A request of ours that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outstanding {
    /// What it was.
    what: String,
    /// When it must be answered; `None`: the client never answers it (genesys-protocol 12.1).
    due: Option<Duration>,
    /// Whether an error is a violation: not for what a test made up.
    ours: bool,
}

/// One streaming connection.
#[derive(Debug)]
pub(crate) struct Socket {
    pub id: u64,
    pub channel: String,
    /// The channel's user; authenticated once `phase` is past it.
    pub user: String,
    pub phase: Phase,
    /// The id of the last `<open>`: the `connectionId` of alerting leaders.
    pub stream: String,
    /// `FULL`, once bound.
    pub full: Option<String>,
    /// Nothing goes out and nothing that comes in counts.
    pub silent: bool,
    /// The client asked for server-side pings; the next is due then.
    ping_due: Option<Duration>,
    outstanding: BTreeMap<String, Outstanding>,
    queue: mpsc::UnboundedSender<Frame>,
}

impl Socket {
    /// When it has to be looked at next.
    pub fn next_timeout(&self) -> Option<Duration> {
        let answers = self.outstanding.values().filter_map(|one| one.due);
        answers.chain(self.ping_due).min()
    }
}

/// `GET /stream/channels/{id}`.
pub(crate) async fn serve(
    State(cloud): State<Arc<Cloud>>,
    Path(channel): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.protocols(["xmpp"]);
    let asked = upgrade.selected_protocol().is_some();
    let opened = cloud.with(|world| world.open_socket(&channel, asked));
    match opened {
        Ok((id, frames)) => {
            let refused = cloud.clone();
            upgrade
                .on_failed_upgrade(move |_| refused.with(|world| world.close_socket(id, "failed")))
                .on_upgrade(move |socket| async move {
                    let task = relay(cloud.clone(), id, socket, frames);
                    cloud.until_stopped(task).await;
                    cloud.with(|world| world.close_socket(id, "closed"));
                })
        }
        Err(status) => status.into_response(),
    }
}

/// Moves frames both ways until either side ends.
async fn relay(
    cloud: Arc<Cloud>,
    id: u64,
    socket: WebSocket,
    mut frames: mpsc::UnboundedReceiver<Frame>,
) {
    let (mut out, mut incoming) = socket.split();
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(Frame::Text(text)) => {
                    if out.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Frame::Close) | None => {
                    let close = CloseFrame { code: 1000, reason: "".into() };
                    // The client may be quicker.
                    let _ = out.send(Message::Close(Some(close))).await;
                    return;
                }
                Some(Frame::Drop) => return,
            },
            message = incoming.next() => match message {
                Some(Ok(Message::Text(text))) => cloud.with(|world| world.frame(id, &text)),
                Some(Ok(Message::Binary(_))) => cloud.with(|world| {
                    let user = world.sockets.get(&id).map(|socket| socket.user.clone());
                    world.violate(
                        user.as_deref(),
                        ViolationKind::MalformedFrame,
                        "a binary message; XMPP frames are text (RFC 7395 section 3.2)",
                    );
                }),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
}

impl World {
    /// A client wants to connect to a channel.
    fn open_socket(
        &mut self,
        channel: &str,
        asked_for_xmpp: bool,
    ) -> Result<(u64, mpsc::UnboundedReceiver<Frame>), StatusCode> {
        let Some(found) = self.channels.channel(self.now, channel) else {
            self.log(
                LogKind::Socket,
                None,
                format!("refused: no channel {channel:?}"),
            );
            return Err(StatusCode::NOT_FOUND);
        };
        let user = found.user.clone();
        if !asked_for_xmpp {
            self.violate(
                Some(&user),
                ViolationKind::MissingField,
                "the WebSocket was asked for without Sec-WebSocket-Protocol: xmpp",
            );
            return Err(StatusCode::BAD_REQUEST);
        }
        let id = self.serial();
        let (queue, frames) = mpsc::unbounded_channel();
        let socket = Socket {
            id,
            channel: channel.to_owned(),
            user: user.clone(),
            phase: Phase::Opening,
            stream: String::new(),
            full: None,
            silent: false,
            ping_due: None,
            outstanding: BTreeMap::new(),
            queue,
        };
        self.sockets.insert(id, socket);
        self.log(
            LogKind::Socket,
            Some(&user),
            format!("socket {id} opened on {channel}"),
        );
        Ok((id, frames))
    }

    fn close_socket(&mut self, id: u64, how: &str) {
        if let Some(socket) = self.sockets.remove(&id) {
            self.log(
                LogKind::Socket,
                Some(&socket.user),
                format!("socket {id} {how}"),
            );
        }
    }

    /// Takes one text frame of a client.
    pub fn frame(&mut self, id: u64, text: &str) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let (user, phase, silent) = (socket.user.clone(), socket.phase, socket.silent);
        self.log(LogKind::FrameIn, Some(&user), text);
        if silent || phase == Phase::Closing {
            return;
        }
        let element = match Element::parse(text) {
            Ok(element) => element,
            Err(error) => {
                let detail = format!("{error}: {text}");
                self.violate(Some(&user), ViolationKind::MalformedFrame, detail);
                self.stream_error(id, "not-well-formed");
                return;
            }
        };
        if element.is("close", FRAMING) {
            self.hang_up(id);
        } else if phase == Phase::Bound || phase == Phase::Binding {
            self.stanza(id, &element);
        } else {
            self.negotiate(id, &element);
        }
    }

    fn stanza(&mut self, id: u64, element: &Element) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let (user, bound) = (socket.user.clone(), socket.phase == Phase::Bound);
        let name = element.name.as_str();
        if element.is("open", FRAMING) {
            self.unexpected(id, element, "the stream is open already");
        } else if matches!(name, "iq" | "message" | "presence") && element.ns != CLIENT {
            self.violate(
                Some(&user),
                ViolationKind::WrongNamespace,
                format!(
                    "<{name}> in {:?}, not {CLIENT:?} (RFC 7395 section 3.3.3)",
                    element.ns
                ),
            );
        } else if name == "iq" {
            self.iq(id, element, bound);
        } else if name == "message" && bound {
            self.message(id, element);
        } else {
            self.unexpected(
                id,
                element,
                "a softphone client sends only iq and message once bound",
            );
        }
    }

    pub(super) fn unexpected(&mut self, id: u64, element: &Element, why: &str) {
        let user = self.sockets.get(&id).map(|socket| socket.user.clone());
        self.violate(
            user.as_deref(),
            ViolationKind::UnexpectedStanza,
            format!("<{} xmlns={:?}>: {why}", element.name, element.ns),
        );
    }
}
