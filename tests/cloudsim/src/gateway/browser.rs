//! A far end that is a web page: its `RTCPeerConnection` is the peer the phone talks to, so that
//! libwebrtc itself hears the phone.
//!
//! The page attaches over a WebSocket and is told, in JSON, to make offers and to apply answers
//! and candidates ([`ToPage`]); it tells what happens ([`FromPage`]) and sends what it hears as
//! binary messages of 48 kHz mono `i16`, little-endian. The leg relays both ways and keeps no
//! peer of its own.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::Leg;
use super::config::{Codec, Direction, FarEndSource, LegConfig, LegEvent};
use super::events::Events;
use super::media::{epoch_ms, lock};
use super::report::{LegReport, LegState};
use super::sdp;

/// The page, to be served at `/sim/far-end?call=C`. It attaches to `/sim/calls/{C}/far-end`.
pub const FAR_END_HTML: &str = include_str!("far_end.html");

/// How long an offer waits for a page to attach: a browser's start on a slow machine.
pub const ATTACH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a page may take to answer a request.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the page's WebSocket for one leg. A page that attaches later replaces the one before.
pub async fn serve(upgrade: WebSocketUpgrade, leg: Leg) -> Response {
    if leg.page().is_none() {
        let text = "this call's far end is not a browser: start it with the far end \"browser\"";
        return (StatusCode::CONFLICT, text).into_response();
    }
    upgrade.on_upgrade(move |socket| async move {
        if let Some(page) = leg.page() {
            page.attend(socket).await;
        }
    })
}

/// What the leg tells the page.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum ToPage {
    /// The first message.
    Start {
        codecs: Vec<Codec>,
        telephone_event: bool,
        record: bool,
    },
    /// Make an offer, apply it, and reply with [`FromPage::Offer`].
    MakeOffer {
        id: u64,
        ice_restart: bool,
        direction: Direction,
    },
    Answer {
        sdp: String,
    },
    Candidate {
        candidate: String,
        mid: String,
    },
    /// Say this; `wav` is a WAV file in Base64.
    Say {
        source: String,
        wav: Option<String>,
    },
    /// Silence to the phone, to the listener, or both.
    Gate {
        say: bool,
        hear: bool,
    },
    /// Reply with [`FromPage::Report`].
    Report {
        id: u64,
    },
    Close,
}

/// What the page tells the leg.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum FromPage {
    Offer {
        id: u64,
        sdp: String,
    },
    Candidate {
        candidate: String,
    },
    EndOfCandidates,
    /// `RTCPeerConnection.connectionState`.
    State {
        state: String,
    },
    /// The first packet of the phone was counted by `getStats`.
    FirstMedia,
    Report {
        id: u64,
        report: Box<LegReport>,
    },
    Error {
        message: String,
    },
}

/// A reply some task waits for.
enum Reply {
    Offer(oneshot::Sender<String>),
    Report(oneshot::Sender<Box<LegReport>>),
}

/// A leg whose peer is a web page.
pub(super) struct Page {
    config: LegConfig,
    events: Events,
    inner: Mutex<Inner>,
    attached: watch::Sender<bool>,
    next_id: AtomicU64,
    negotiation: tokio::sync::Mutex<Negotiation>,
}

#[derive(Default)]
struct Inner {
    to_page: Option<mpsc::UnboundedSender<ToPage>>,
    waiting: Vec<(u64, Reply)>,
    report: LegReport,
    recording: Vec<i16>,
    source: Option<FarEndSource>,
}

#[derive(Default)]
struct Negotiation {
    version: u64,
    offer: Option<String>,
    answer: Option<String>,
    /// What the page calls its section.
    mid: String,
}

impl Page {
    pub(super) fn new(config: LegConfig, events: Events) -> Self {
        let report = LegReport {
            peer: "browser".to_owned(),
            far_end: config.far_end.to_string(),
            ..LegReport::default()
        };
        Self {
            config,
            events,
            inner: Mutex::new(Inner {
                report,
                ..Inner::default()
            }),
            attached: watch::Sender::new(false),
            next_id: AtomicU64::new(1),
            negotiation: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn offer(&self, ice_restart: bool, direction: Direction) -> Result<String> {
        let mut attached = self.attached.subscribe();
        tokio::time::timeout(ATTACH_TIMEOUT, attached.wait_for(|there| *there))
            .await
            .ok()
            .and_then(Result::ok)
            .with_context(|| {
                format!(
                    "no far-end page attached within {ATTACH_TIMEOUT:?}: open /sim/far-end?call=C"
                )
            })?;
        let mut negotiation = self.negotiation.lock().await;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (reply, offer) = oneshot::channel();
        self.ask(
            id,
            Reply::Offer(reply),
            ToPage::MakeOffer {
                id,
                ice_restart,
                direction,
            },
        )?;
        let offer = tokio::time::timeout(REPLY_TIMEOUT, offer)
            .await
            .context("the far-end page made no offer in time")?
            .context("the far-end page left, or could not make an offer")?;
        sdp::mid(&offer)
            .context("the page's offer has no a=mid")?
            .clone_into(&mut negotiation.mid);
        negotiation.version += 1;
        let shaped = sdp::shape_offer(&offer, &self.config, 1, negotiation.version);
        negotiation.offer = Some(shaped.clone());
        let mut inner = lock(&self.inner);
        inner
            .report
            .offered_at
            .get_or_insert(epoch_ms(Instant::now()));
        inner.report.state = LegState::Offered;
        Ok(shaped)
    }

    pub(super) async fn answer(&self, answer: &str) -> Result<()> {
        let mut negotiation = self.negotiation.lock().await;
        let offer = negotiation
            .offer
            .as_deref()
            .context("an answer without an offer")?;
        sdp::check_answer(offer, answer, negotiation.answer.as_deref())?;
        lock(&self.inner)
            .report
            .answered_at
            .get_or_insert(epoch_ms(Instant::now()));
        self.tell(ToPage::Answer {
            sdp: sdp::with_mid(answer, &negotiation.mid),
        })?;
        negotiation.answer = Some(answer.to_owned());
        Ok(())
    }

    pub(super) async fn candidate(&self, candidate: &str, mid: &str) -> Result<()> {
        let Some(candidate) = sdp::check_candidate(candidate, mid)? else {
            return Ok(());
        };
        // The page itself holds candidates that come before the answer.
        let mid = self.negotiation.lock().await.mid.clone();
        self.tell(ToPage::Candidate {
            candidate: candidate.to_owned(),
            mid,
        })
    }

    pub(super) async fn set_far_end(&self, source: FarEndSource) -> Result<()> {
        let message = say(&source).await?;
        lock(&self.inner).source = Some(source);
        if *self.attached.borrow() {
            self.tell(message)?;
        }
        Ok(())
    }

    pub(super) fn set_held(&self, held: bool) {
        lock(&self.inner).report.held = held;
        self.gate();
    }

    pub(super) fn set_muted(&self, muted: bool) {
        lock(&self.inner).report.muted = muted;
        self.gate();
    }

    fn gate(&self) {
        let (held, muted) = {
            let inner = lock(&self.inner);
            (inner.report.held, inner.report.muted)
        };
        // A page that is not there yet learns it when it attaches.
        let _ = self.tell(ToPage::Gate {
            say: !held,
            hear: !(held || muted),
        });
    }

    pub(super) async fn report(&self) -> LegReport {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (reply, report) = oneshot::channel();
        if self
            .ask(id, Reply::Report(reply), ToPage::Report { id })
            .is_ok()
            && let Ok(Ok(seen)) = tokio::time::timeout(REPLY_TIMEOUT, report).await
        {
            lock(&self.inner).merge(*seen);
        }
        lock(&self.inner).report.clone()
    }

    pub(super) fn recording(&self) -> Vec<i16> {
        lock(&self.inner).recording.clone()
    }

    pub(super) fn close(&self) {
        let _ = self.tell(ToPage::Close);
        lock(&self.inner).report.state = LegState::Closed;
        self.events.close();
    }

    fn tell(&self, message: ToPage) -> Result<()> {
        match &lock(&self.inner).to_page {
            Some(page) if page.send(message).is_ok() => Ok(()),
            _ => bail!("no far-end page is attached to this call"),
        }
    }

    fn ask(&self, id: u64, reply: Reply, message: ToPage) -> Result<()> {
        lock(&self.inner).waiting.push((id, reply));
        self.tell(message)
    }

    /// Talks to one page until it leaves or another one comes.
    async fn attend(&self, mut socket: WebSocket) {
        let (to_page, mut messages) = mpsc::unbounded_channel();
        let source = {
            let mut inner = lock(&self.inner);
            inner.to_page = Some(to_page.clone());
            inner.source.clone()
        };
        let _ = to_page.send(ToPage::Start {
            codecs: self.config.codecs.clone(),
            telephone_event: self.config.telephone_event,
            record: self.config.record,
        });
        if let Some(source) = source
            && let Ok(message) = say(&source).await
        {
            let _ = to_page.send(message);
        }
        drop(to_page);
        self.gate();
        self.attached.send_replace(true);
        loop {
            tokio::select! {
                message = messages.recv() => {
                    // `None`: another page took this one's place.
                    let Some(message) = message else { return };
                    let Ok(text) = serde_json::to_string(&message) else { continue };
                    if socket.send(Message::Text(text.into())).await.is_err() {
                        break;
                    }
                }
                received = socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => self.hear(&text),
                    Some(Ok(Message::Binary(pcm))) => lock(&self.inner).record(&pcm),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                },
            }
        }
        self.attached.send_replace(false);
        let mut inner = lock(&self.inner);
        inner.to_page = None;
        inner.waiting.clear();
        if inner.report.state != LegState::Closed {
            inner.report.state = LegState::Failed;
            self.events
                .send(LegEvent::Failed("the far-end page left".to_owned()));
        }
    }

    fn hear(&self, text: &str) {
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "the far-end page said something unknown");
                return;
            }
        };
        let mut inner = lock(&self.inner);
        match message {
            FromPage::Offer { id, sdp } => {
                if let Some(Reply::Offer(reply)) = inner.take(id) {
                    let _ = reply.send(sdp);
                }
            }
            FromPage::Report { id, report } => {
                if let Some(Reply::Report(reply)) = inner.take(id) {
                    let _ = reply.send(report);
                }
            }
            FromPage::Candidate { candidate } => {
                if candidate
                    .strip_prefix("candidate:")
                    .is_some_and(sdp::is_usable)
                {
                    self.events.send(LegEvent::Candidate(candidate));
                }
            }
            FromPage::EndOfCandidates => self.events.send(LegEvent::EndOfCandidates),
            FromPage::FirstMedia => {
                inner
                    .report
                    .first_packet_in_at
                    .get_or_insert(epoch_ms(Instant::now()));
                self.events.send(LegEvent::FirstMedia);
            }
            FromPage::State { state } => inner.state(&state, &self.events),
            FromPage::Error { message } => {
                tracing::warn!(message, "the far-end page failed");
                inner.report.error = Some(message);
            }
        }
    }
}

impl Inner {
    fn take(&mut self, id: u64) -> Option<Reply> {
        let place = self
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == id)?;
        Some(self.waiting.swap_remove(place).1)
    }

    fn state(&mut self, state: &str, events: &Events) {
        self.report.state = match state {
            "connecting" => LegState::Connecting,
            "connected" => {
                self.report
                    .connected_at
                    .get_or_insert(epoch_ms(Instant::now()));
                events.send(LegEvent::Connected);
                LegState::Connected
            }
            "disconnected" => LegState::Disconnected,
            "failed" => {
                events.send(LegEvent::Failed("the page's connection failed".to_owned()));
                LegState::Failed
            }
            "closed" => LegState::Closed,
            _ => return,
        };
    }

    /// Takes the page's counters; times and states are known better here.
    fn merge(&mut self, seen: LegReport) {
        let known = std::mem::take(&mut self.report);
        self.report = LegReport {
            state: known.state,
            peer: known.peer,
            far_end: known.far_end,
            held: known.held,
            muted: known.muted,
            offered_at: known.offered_at,
            answered_at: known.answered_at,
            connected_at: known.connected_at,
            first_packet_in_at: known.first_packet_in_at,
            error: known.error,
            ..seen
        };
    }

    fn record(&mut self, pcm: &[u8]) {
        /// Ten minutes.
        const AT_MOST: usize = 600 * crate::measure::RATE as usize;
        let room = AT_MOST.saturating_sub(self.recording.len());
        let samples = pcm
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        self.recording.extend(samples.take(room));
    }
}

/// The message that makes a page say something.
async fn say(source: &FarEndSource) -> Result<ToPage> {
    let wav = match source {
        FarEndSource::Wav(file) => Some(encoded(file).await?),
        _ => None,
    };
    Ok(ToPage::Say {
        source: source.to_string(),
        wav,
    })
}

async fn encoded(file: &Path) -> Result<String> {
    let bytes = tokio::fs::read(file)
        .await
        .with_context(|| format!("{}: cannot be read", file.display()))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}
