//! XMPP over WebSocket (RFC 7395), sans-IO: signing in, requests and their replies, keep-alive, and the session that
//! lives across connections. `connection` moves the bytes.

pub(crate) mod discovery;
pub(crate) mod iq;
pub(crate) mod negotiation;
pub(crate) mod ping;
pub(crate) mod session;
pub(crate) mod setup;

use super::id::Jid;

/// Who we are on the stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Own {
    /// From the bind result.
    pub full: Jid,
    pub bare: Jid,
}

impl Own {
    pub(crate) fn new(full: Jid) -> Self {
        let bare = full.bare();
        Self { full, bare }
    }

    /// The XMPP server.
    pub(crate) fn domain(&self) -> &str {
        self.bare.domain()
    }
}

#[cfg(test)]
mod golden;
