//! The media-handling modes, and who of a user's clients rings (genesys-protocol 6.3, 6.13.24, 7.1).

use super::call::Call;
use super::event::{AlertingLeader, Event, SdkError, SdkErrorType};
use super::session::End;
use super::{CommandId, MediaHandling, Softphone};
use crate::genesys::id::SessionId;
use crate::genesys::signal::Reason;

impl MediaHandling {
    /// Proposals that do not want to be answered by themselves are ignored.
    pub(super) fn is_reduced(self) -> bool {
        matches!(self, Self::ReducedMedia | Self::ReducedMediaHeadsets)
    }
}

impl Softphone {
    /// The mode in force.
    pub fn media_handling(&self) -> MediaHandling {
        self.handling
    }

    /// `setMediaHandling`.
    pub(super) fn set_media_handling(
        &mut self,
        command: CommandId,
        wanted: MediaHandling,
    ) -> Result<(), SdkError> {
        if self.handle_media(wanted) == wanted {
            self.done(command);
            return Ok(());
        }
        // 6.13.24
        Err(SdkError::new(
            SdkErrorType::NotSupported,
            "reduced-media cannot be had during a call, it is reduced-media-headsets now: set it again after the call",
        )
        .with("cause", "conflict"))
    }

    /// 7.1: the leader rings, the others keep still. Where the cloud does not decide, all ring.
    pub(super) fn on_alerting_leader(&mut self, status: AlertingLeader) {
        let wanted = match (status.configured, status.alerting) {
            (false, _) => self.config.media_handling,
            (true, true) => MediaHandling::AlertingLeaderMedia,
            (true, false) => MediaHandling::ReducedMedia,
        };
        self.event(Event::AlertingLeaderChanged { voice: status });
        self.handle_media(wanted);
    }

    /// Changes the mode as far as calls allow; what it is then.
    fn handle_media(&mut self, wanted: MediaHandling) -> MediaHandling {
        let mut mode = wanted;
        if mode == MediaHandling::ReducedMedia {
            if self.calls.iter().any(Call::is_ours) {
                mode = MediaHandling::ReducedMediaHeadsets;
            } else {
                let idle: Vec<SessionId> = self.sessions.iter().map(|s| s.id.clone()).collect();
                for session in &idle {
                    self.end_session(session, Reason::Success, End::Local);
                }
            }
        }
        self.handling = mode;
        self.decide_all(); // What was ignored may ring now.
        mode
    }
}
