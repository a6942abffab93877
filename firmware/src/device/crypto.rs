//! The one cryptography provider of the whole phone.

/// Makes *ring* the process's TLS provider. `webrtc` brings *ring*, `reqwest` brings none; without this, rustls
/// cannot choose and every TLS connection would fail. Calling it again does nothing.
pub fn install() {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
