//! A far end that is a web page: its `RTCPeerConnection` is the peer the phone talks to.

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;

use super::Leg;

/// The page, to be served at `/sim/far-end?call=C`. It attaches to `/sim/calls/{C}/far-end`.
pub const FAR_END_HTML: &str = include_str!("far_end.html");

/// Serves the page's WebSocket for one leg.
pub async fn serve(upgrade: WebSocketUpgrade, _leg: Leg) -> Response {
    upgrade.on_upgrade(|_socket| async {})
}
