//! A client of the phone's local API that waits for what it is told to see.

use crate::PATIENCE;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// One server-sent event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its SDK name.
    pub name: String,
    /// Its payload.
    pub data: Value,
}

/// The API of one phone; follows its events from the start.
pub struct Api {
    url: String,
    http: reqwest::Client,
    events: Arc<Mutex<Vec<Event>>>,
    seen: watch::Receiver<usize>,
}

impl Api {
    /// Starts to follow the events.
    pub fn new(url: String) -> Self {
        let http = reqwest::Client::new();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = watch::channel(0);
        tokio::spawn(follow(
            http.clone(),
            format!("{url}/api/v1/events"),
            Arc::clone(&events),
            count,
        ));
        Self {
            url,
            http,
            events,
            seen,
        }
    }

    /// `http://address:port`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Any request; status and JSON body (null when there is none).
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("an HTTP method");
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the phone's API answers");
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    /// `POST`, expecting 202.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.request("POST", path, Some(body)).await;
        assert_eq!(status, 202, "POST {path}: {answer}");
        answer
    }

    /// Lifts (`lifted`) or rests (`resting`) the handset.
    pub async fn hook(&self, state: &str) {
        self.post("/api/v1/board/hook", json!({ "state": state }))
            .await;
    }

    /// Taps a key.
    pub async fn tap(&self, key: &str) {
        self.key(key, "tap").await;
    }

    /// `tap`, `press` or `release`.
    pub async fn key(&self, key: &str, action: &str) {
        self.post(
            "/api/v1/board/keys",
            json!({ "key": key, "action": action }),
        )
        .await;
    }

    /// Tells a call to `answer`, `end`, `hold`, ...
    pub async fn call(&self, conversation: &str, verb: &str) {
        self.post(&format!("/api/v1/calls/{conversation}/{verb}"), json!({}))
            .await;
    }

    /// `GET /status`.
    pub async fn status(&self) -> Value {
        self.request("GET", "/api/v1/status", None).await.1
    }

    /// `GET /board/lamps`.
    pub async fn lamps(&self) -> Value {
        self.request("GET", "/api/v1/board/lamps", None).await.1
    }

    /// `GET /board/display.png`.
    pub async fn display(&self) -> Vec<u8> {
        let url = format!("{}/api/v1/board/display.png", self.url);
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .expect("the phone's API answers");
        answer.bytes().await.expect("a picture").to_vec()
    }

    /// Events so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().expect("no reader panicked").clone()
    }

    /// How often an event of that name came so far.
    pub fn count(&self, name: &str) -> usize {
        self.events()
            .iter()
            .filter(|event| event.name == name)
            .count()
    }

    /// Waits for an event, past ones included.
    pub async fn wait_event(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut seen = self.seen.clone();
        let found = async {
            loop {
                seen.borrow_and_update();
                if let Some(event) = self
                    .events()
                    .into_iter()
                    .find(|event| event.name == name && wanted(&event.data))
                {
                    return event.data;
                }
                seen.changed().await.expect("the event stream goes on");
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no {name} came; events so far: {:#?}", self.events()))
    }

    /// Waits until `GET /status` is as wanted; looks again at each event, and every 20 ms since lamps, media and hook
    /// change without one.
    pub async fn wait_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.poll(what, async || self.status().await, wanted).await
    }

    /// Waits until the lamps are as wanted.
    pub async fn wait_lamps(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.poll(what, async || self.lamps().await, wanted).await
    }

    async fn poll(
        &self,
        what: &str,
        look: impl AsyncFn() -> Value,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut seen = self.seen.clone();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            seen.borrow_and_update();
            let value = look().await;
            if wanted(&value) {
                return value;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "still not {what}: {value:#}"
            );
            // What the API has no event for has to be looked at again.
            let _ =
                tokio::time::timeout(std::time::Duration::from_millis(20), seen.changed()).await;
        }
    }
}

async fn follow(
    http: reqwest::Client,
    url: String,
    events: Arc<Mutex<Vec<Event>>>,
    count: watch::Sender<usize>,
) {
    let Ok(mut answer) = http.get(url).send().await else {
        return;
    };
    let mut text = String::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or_default()
            };
            if field("event: ").is_empty() {
                continue;
            }
            let data = serde_json::from_str(field("data: ")).unwrap_or(Value::Null);
            events.lock().expect("no reader panicked").push(Event {
                name: field("event: ").into(),
                data,
            });
            count.send_modify(|count| *count += 1);
        }
    }
}
