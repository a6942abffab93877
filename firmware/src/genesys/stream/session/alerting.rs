//! Which of the user's clients rings (genesys-protocol 7.1). Whatever fails, this one does.

use super::{Output, Session};
use crate::genesys::CloudEvent;
use crate::genesys::rest::RestError;
use crate::genesys::subscriptions::Leader;
use std::time::Instant;

/// The choice on one connection.
#[derive(Debug, Default)]
pub(super) struct Alerting {
    /// An event has told: what is read later is older.
    told: bool,
}

impl Session {
    /// On each new connection: the topic first, so that no change is missed.
    pub(super) fn begin_alerting(&mut self, now: Instant) {
        if let Some(alerting) = &mut self.alerting {
            *alerting = Alerting::default();
            self.subscribe(now, self.topics.alerting_leader());
        }
    }

    pub(super) fn alerting_subscribed(&mut self) {
        if self.alerting.is_some() {
            let connection = self.connection.clone();
            self.out.push_back(Output::AskLeader { connection });
        }
    }

    /// What `GET /users/alertingleader` said. One that was asked on an earlier connection, or before an event, is old.
    pub(crate) fn leader_read(&mut self, connection: &str, result: Result<Leader, RestError>) {
        let is_old = self.alerting.as_ref().is_none_or(|alerting| alerting.told);
        if !self.online || is_old || connection != self.connection {
            return;
        }
        match result {
            Ok(leader) => self.leader_is(leader),
            Err(error) => self.leader_unknown(&error.to_string()),
        }
    }

    /// The event; one without connection says nothing.
    pub(super) fn leader_changed(&mut self, leader: Leader) {
        if leader.connection_id.is_none() {
            return;
        }
        if let Some(alerting) = &mut self.alerting {
            alerting.told = true;
            self.leader_is(leader);
        }
    }

    /// Nobody can say who rings: this phone does.
    pub(super) fn leader_unknown(&mut self, why: &str) {
        tracing::warn!(why, "it is not known which client rings; this phone does");
        self.event(CloudEvent::AlertingLeader {
            alerting: true,
            configured: false,
            client_type: None,
        });
    }

    fn leader_is(&mut self, leader: Leader) {
        let alerting = leader.connection_id.as_deref() == Some(self.connection.as_str());
        self.event(CloudEvent::AlertingLeader {
            alerting,
            configured: true,
            client_type: leader.client_type,
        });
    }
}
