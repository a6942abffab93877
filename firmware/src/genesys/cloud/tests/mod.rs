//! The connection task under virtual time, against a scripted network.

mod calls;
mod failures;
mod hands;
mod leader;
mod privacy;
mod reconnects;
mod stations;

use super::{Cloud, CloudConfig};
use crate::device::Private;
use crate::genesys::token::TokenSource;
use crate::genesys::transport::scripted::{Answer, Scripted, ServerEnd, well_behaved};
use crate::genesys::xml::Element;
use crate::genesys::{CloudEvent, signal};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const BARE: &str = "me@acme.test";
const RESOURCE: &str = "res-1";
const PEER: &str = "+13175550100@acme.gjoll.test/x";

/// A phone's connection, the far side of it, and the clock both share.
struct Bench {
    cloud: Cloud,
    network: Arc<Scripted>,
    links: mpsc::UnboundedReceiver<ServerEnd>,
    events: mpsc::Receiver<CloudEvent>,
    started: Instant,
}

/// What a healthy cloud answers; channels are `ch1`, `ch2`, ...
fn healthy() -> impl Fn(&str) -> Answer + Send + Sync {
    let channels = AtomicUsize::new(0);
    move |line| match line {
        "GET /organizations/me" => Answer::json(200, &json!({"id":"O","name":"Acme"})),
        "GET /users/me?expand=station" => Answer::json(
            200,
            &json!({"id":"U","name":"Agent Smith","chat":{"jabberId":BARE},
                    "station":{"effectiveStation":{"id":"ST","name":"Agent Smith WebRTC"}}}),
        ),
        "GET /stations/ST" => Answer::json(
            200,
            &json!({"id":"ST","name":"Agent Smith WebRTC","type":"inin_webrtc_softphone","webRtcCallAppearances":1}),
        ),
        "POST /notifications/channels?connectionType=streaming" => {
            let n = channels.fetch_add(1, Ordering::Relaxed) + 1;
            Answer::json(200, &json!({"id": format!("ch{n}")}))
        }
        line if line.starts_with("PUT /notifications/channels/") => {
            Answer::json(200, &json!({"entities":[]}))
        }
        other => panic!("{other}"),
    }
}

impl Bench {
    fn healthy() -> Self {
        let healthy = healthy();
        Self::new(move |line, _| healthy(line))
    }

    /// `http` gets `METHOD /path` and the token.
    fn new(http: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_token(TokenSource::fixed(Private::from("TOKEN")), http)
    }

    fn with_token(
        token: TokenSource,
        http: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::with(CloudConfig::default(), |_| token, http)
    }

    /// `config` lacks the environment and the resource; the token may need the network.
    fn with(
        config: CloudConfig,
        token: impl FnOnce(Arc<Scripted>) -> TokenSource,
        http: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (network, links) = Scripted::new(move |line, token, _| http(line, token));
        let network = Arc::new(network);
        let config = CloudConfig {
            environment: "mypurecloud.com".to_owned(),
            resource: RESOURCE.to_owned(),
            ..config
        };
        let token = token(network.clone());
        let (sender, events) = mpsc::channel(64);
        let cloud = Cloud::start_over(network.clone(), &config, token, sender).expect("started");
        Self {
            cloud,
            network,
            links,
            events,
            started: Instant::now(),
        }
    }

    /// Connected for the first time; the events of that are taken.
    async fn ready() -> (Self, ServerEnd) {
        let mut bench = Self::healthy();
        let mut server = bench.link().await;
        serve(&mut server).await;
        assert!(matches!(bench.event().await, CloudEvent::Ready(_)));
        assert!(matches!(bench.event().await, CloudEvent::IceServers(_)));
        assert!(matches!(
            bench.event().await,
            CloudEvent::Connected {
                reconnect: false,
                ..
            }
        ));
        (bench, server)
    }

    async fn event(&mut self) -> CloudEvent {
        let event = timeout(Duration::from_mins(10), self.events.recv()).await;
        event
            .expect("an event within 10 minutes")
            .expect("the task lives")
    }

    /// The next link the phone opens.
    async fn link(&mut self) -> ServerEnd {
        let link = timeout(Duration::from_mins(10), self.links.recv()).await;
        link.expect("a link within 10 minutes")
            .expect("the task lives")
    }

    /// The next event that `wanted` accepts; those before it are passed over.
    async fn event_like(&mut self, wanted: impl Fn(&CloudEvent) -> bool) -> CloudEvent {
        loop {
            let event = self.event().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    /// No event, not even within the next seconds.
    async fn quiet(&mut self, seconds: u64) {
        let event = timeout(Duration::from_secs(seconds), self.events.recv()).await;
        assert!(event.is_err(), "{event:?}");
    }

    /// Whole seconds since the start.
    fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn requests(&self, what: &str) -> usize {
        let requests = self.network.requests.lock().expect("no panic");
        requests.iter().filter(|line| line.contains(what)).count()
    }
}

/// Signs the phone in and answers its requests until it has no more. Returns what needed no answer.
async fn serve(server: &mut ServerEnd) -> Vec<Element> {
    let mut others = Vec::new();
    while let Some(stanza) = next(server).await {
        if !answer(server, &stanza) {
            others.push(stanza);
        }
    }
    others
}

/// Answers for ever, from a task of its own. The receiver gets what needed no answer, and ends with the link.
fn serve_on(
    mut server: ServerEnd,
) -> (
    mpsc::UnboundedSender<String>,
    mpsc::UnboundedReceiver<Element>,
) {
    let (others, receiver) = mpsc::unbounded_channel();
    let (sender, mut say) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                stanza = server.receive() => match stanza {
                    Some(stanza) => {
                        if stanza.name == "close" || !answer(&server, &stanza) {
                            // The test may not care.
                            let _ = others.send(stanza);
                        }
                    }
                    None => return,
                },
                Some(text) = say.recv() => server.send(text),
            }
        }
    });
    (sender, receiver)
}

/// The phone's next stanza, if it comes soon.
async fn next(server: &mut ServerEnd) -> Option<Element> {
    let soon = Duration::from_millis(100);
    timeout(soon, server.receive()).await.ok().flatten()
}

/// Whether the stanza was one that a server answers.
fn answer(server: &ServerEnd, stanza: &Element) -> bool {
    let full = format!("{BARE}/{RESOURCE}");
    let answers = well_behaved(stanza, &full);
    let is_answered = !answers.is_empty();
    for text in answers {
        server.send(text);
    }
    is_answered
}

fn terminate(session: &str) -> signal::Reply {
    signal::Reply::Terminate {
        session: session.into(),
        to: PEER.into(),
        form: signal::Form::SdpOverXmpp,
        reason: signal::Reason::Success,
    }
}
