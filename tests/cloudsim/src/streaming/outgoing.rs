//! What the simulator sends by itself: frames, pings, faults, and what became of them.

use uuid::Uuid;

use super::{Frame, Outstanding, Phase, render};
use crate::engine::CloudStanza;
use crate::journal::{LogKind, ViolationKind};
use crate::world::World;
use crate::xml::Element;

impl World {
    /// Queues a text frame.
    pub fn send(&mut self, id: u64, text: String) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        if socket.silent {
            return;
        }
        let user = socket.user.clone();
        // The socket's task may have ended; then this socket is about to be removed.
        let _ = socket.queue.send(Frame::Text(text.clone()));
        self.log(LogKind::FrameOut, Some(&user), text);
    }

    /// Queues one of the gateway's stanzas.
    pub fn send_stanza(&mut self, id: u64, peer: &str, session: &str, stanza: &CloudStanza) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let Some(full) = socket.full.clone() else {
            return;
        };
        let user = socket.user.clone();
        let (text, request) = render::cloud_stanza(stanza, peer, &full, &user, session);
        if let Some(request) = request {
            let due = request
                .answered
                .then(|| self.now + self.options.deadlines.iq);
            let outstanding = Outstanding {
                what: request.what,
                due,
                ours: !request.refusable,
            };
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.outstanding.insert(request.id, outstanding);
            }
        }
        self.send(id, text);
    }

    /// Sends whatever a test wants. If it is a request, any answer to it is fine.
    pub fn send_raw(&mut self, id: u64, text: String) {
        if let Ok(element) = Element::parse(&text)
            && let Some(request) = element.attribute("id")
            && let Some(socket) = self.sockets.get_mut(&id)
        {
            let outstanding = Outstanding {
                what: "a raw frame".into(),
                due: None,
                ours: false,
            };
            socket.outstanding.insert(request.to_owned(), outstanding);
        }
        self.send(id, text);
    }

    /// Pings a client.
    pub fn ping(&mut self, id: u64) {
        let due = self.now + self.options.deadlines.iq;
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let Some(full) = socket.full.clone() else {
            return;
        };
        let request = Uuid::new_v4().to_string();
        let outstanding = Outstanding {
            what: "ping".into(),
            due: Some(due),
            ours: true,
        };
        socket.outstanding.insert(request.clone(), outstanding);
        let domain = self.directory.domain.clone();
        self.send(id, render::ping(&request, &domain, &full));
    }

    /// Pings that are due, answers that are overdue.
    pub fn watch_sockets(&mut self) {
        let now = self.now;
        let mut pings = Vec::new();
        let mut overdue = Vec::new();
        for socket in self.sockets.values_mut() {
            if socket.ping_due.is_some_and(|due| due <= now) {
                socket.ping_due = Some(now + self.options.timing.ping_every);
                pings.push(socket.id);
            }
            let silent = socket.silent;
            socket.outstanding.retain(|_, one| {
                let late = one.due.is_some_and(|due| due <= now);
                if late && !silent {
                    overdue.push((socket.user.clone(), one.what.clone()));
                }
                !late
            });
        }
        for id in pings {
            self.ping(id);
        }
        for (user, what) in overdue {
            let waited = self.options.deadlines.iq;
            self.violate(
                Some(&user),
                ViolationKind::UnansweredIq,
                format!("{what} was not answered within {waited:?}"),
            );
        }
    }

    /// An answer of a client to a request of ours.
    pub(super) fn answer(&mut self, id: u64, element: &Element, request: &str) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let user = socket.user.clone();
        let error = element.attribute("type") == Some("error");
        match socket.outstanding.remove(request) {
            Some(outstanding) if outstanding.ours && error => {
                let conditions: Vec<&str> = element
                    .child("error", super::CLIENT)
                    .map(|error| error.children.iter().map(|one| one.name.as_str()).collect())
                    .unwrap_or_default();
                self.violate(
                    Some(&user),
                    ViolationKind::RefusedIq,
                    format!(
                        "{} was answered with error {conditions:?}",
                        outstanding.what
                    ),
                );
            }
            Some(_) => {}
            None => {
                let text = format!("an iq {request:?} is answered that was not sent here");
                self.violate(Some(&user), ViolationKind::UnexpectedStanza, text);
            }
        }
    }

    /// A stream error, then the end.
    pub(super) fn stream_error(&mut self, id: u64, condition: &str) {
        self.send(id, render::stream_error(condition));
        self.hang_up(id);
    }

    /// `<close>` and the WebSocket's close.
    pub fn hang_up(&mut self, id: u64) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        if socket.phase == Phase::Closing {
            return;
        }
        self.send(id, render::close());
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.phase = Phase::Closing;
            socket.full = None;
            let _ = socket.queue.send(Frame::Close);
        }
    }

    /// Breaks a socket off.
    pub fn drop_socket(&mut self, id: u64) {
        if let Some(socket) = self.sockets.remove(&id) {
            let _ = socket.queue.send(Frame::Drop);
            self.log(
                LogKind::Socket,
                Some(&socket.user),
                format!("socket {id} dropped"),
            );
        }
    }

    /// A user's sockets.
    pub fn sockets_of(&self, user: &str) -> Vec<u64> {
        self.sockets
            .values()
            .filter(|socket| socket.user == user)
            .map(|socket| socket.id)
            .collect()
    }

    /// A message on a pubsub node of the system, such as `no_longer_subscribed`.
    pub fn system_node(&mut self, id: u64, name: &str) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let (Some(full), channel) = (socket.full.clone(), socket.channel.clone()) else {
            return;
        };
        let node = format!("system.v2.{name}.{channel}");
        let body = serde_json::json!({
            "topicName": node,
            "eventBody": {"channelId": channel},
        });
        let service = format!("notifications.{}", self.options.environment);
        self.send(
            id,
            render::notification(&service, &full, &node, &body.to_string()),
        );
    }

    /// Asks a client to connect anew.
    pub fn transfer(&mut self, id: u64) {
        let Some(full) = self.sockets.get(&id).and_then(|socket| socket.full.clone()) else {
            return;
        };
        let domain = self.directory.domain.clone();
        self.send_raw(id, render::transfer(&domain, &full));
    }
}
