//! What the local API asks.

use super::Runtime;
use crate::panel::{Refusal, Request};
use crate::phone;
use crate::softphone::{self, CommandId, CommandReply};
use std::time::Instant;
use tokio::sync::oneshot;

impl Runtime {
    pub(super) fn api_request(&mut self, now: Instant, request: Request) {
        // An asker that has gone away needs no answer: the results of `send` are of no interest.
        match request {
            Request::Status { reply } => drop(reply.send(self.status())),
            Request::Calls { reply } => drop(reply.send(self.calls())),
            Request::Metrics { reply } => drop(reply.send(self.metrics())),
            Request::Dial { params, reply } => {
                let id = self.next_command(reply);
                self.phone.handle(now, phone::Input::Dial { id, params });
            }
            Request::Call {
                conversation,
                command,
                reply,
            } => {
                if self
                    .softphone
                    .calls()
                    .any(|call| call.conversation_id == conversation)
                {
                    let id = self.next_command(reply);
                    self.softphone
                        .handle(now, softphone::Input::Command { id, command });
                } else {
                    drop(reply.send(Err(Refusal::UnknownCall)));
                }
            }
            Request::Audio { change, reply } => {
                if let Some(change) = change {
                    self.phone.handle(now, phone::Input::Audio(change));
                }
                drop(reply.send(self.phone.audio_settings()));
            }
            Request::Command { command, reply } => {
                let id = self.next_command(reply);
                self.softphone
                    .handle(now, softphone::Input::Command { id, command });
            }
            request => self.account_request(request),
        }
    }

    fn next_command(&mut self, reply: oneshot::Sender<Result<CommandReply, Refusal>>) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.asked.insert(id, reply);
        id
    }
}
