//! Names of STUN and TURN servers, looked up before a call needs them: the stack waits for the name server in the
//! same loop that sends its ICE checks.

use super::IceServer;
use super::url::IceUrl;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for a name server when a call cannot wait. A cached name costs nothing; without the server the call
/// still has its host candidates.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer is used. Longer than the time between two calls of a busy hour, shorter than a region's
/// change of addresses.
const LIFETIME: Duration = Duration::from_mins(10);
/// Names kept; a handful is in use.
const MOST: usize = 64;

type Cache = HashMap<String, (Instant, Vec<SocketAddr>)>;
static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

/// Looks up the servers of `ice_servers` so that the next peer finds them at hand. Call it when service discovery
/// has answered; failures are left to the peer.
pub async fn prefetch(ice_servers: &[IceServer]) {
    let hosts: Vec<String> = ice_servers
        .iter()
        .filter_map(|server| IceUrl::parse(&server.url))
        .map(|url| url.authority())
        .collect();
    futures_util::future::join_all(hosts.iter().map(|host| fetch(host))).await;
}

/// The addresses of `host:port`, from the cache if they are there, else within [`LOOKUP_TIMEOUT`].
pub(super) async fn lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    tokio::time::timeout(LOOKUP_TIMEOUT, resolve(host))
        .await
        .unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the name server did not answer in time",
            ))
        })
}

/// The addresses of `host:port`, from the cache if they are there, however long it takes.
pub(super) async fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let cached = cache()
        .get(host)
        .filter(|(when, _)| when.elapsed() < LIFETIME)
        .map(|(_, found)| found.clone());
    match cached {
        Some(found) => Ok(found),
        None => fetch(host).await,
    }
}

async fn fetch(host: &str) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host(host).await?.collect();
    let mut cache = cache();
    if cache.len() >= MOST {
        cache.clear();
    }
    cache.insert(host.to_owned(), (Instant::now(), found.clone()));
    Ok(found)
}

fn cache() -> std::sync::MutexGuard<'static, Cache> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_asked_for_once() {
        let literal: SocketAddr = "192.0.2.7:3478".parse().expect("literal");
        assert_eq!(
            lookup("192.0.2.7:3478").await.expect("no question"),
            vec![literal]
        );
        prefetch(&[IceServer {
            url: "stun:localhost:3478".into(),
            username: String::new(),
            credential: String::new().into(),
        }])
        .await;
        let cached = cache().get("localhost:3478").expect("prefetched").1.clone();
        assert_eq!(lookup("localhost:3478").await.expect("cached"), cached);
    }
}
