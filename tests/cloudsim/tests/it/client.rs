//! A raw client: reqwest for REST, tokio-tungstenite for streaming, strings for stanzas.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use offhook_cloudsim::xml::{Element, escape};
use offhook_cloudsim::{Handle, Options, SimUser, Simulator, UserSpec, Violation};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};
use uuid::Uuid;

pub const WAIT: Duration = Duration::from_secs(20);
pub const SERVICE: &str = "notifications.mypurecloud.test";

/// A simulator with one user.
pub async fn simulator() -> (Simulator, SimUser) {
    simulator_with(Options::default(), UserSpec::default()).await
}

pub async fn simulator_with(options: Options, user: UserSpec) -> (Simulator, SimUser) {
    let simulator = Simulator::start(options).await.unwrap();
    let user = simulator.add_user(user);
    (simulator, user)
}

/// Trusts the simulator's CA and nothing else.
pub fn tls(sim: &Handle) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(sim.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub fn http(sim: &Handle) -> reqwest::Client {
    let config = (*tls(sim)).clone();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .build()
        .unwrap()
}

/// REST with one user's token.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    pub token: String,
}

impl Rest {
    pub fn new(sim: &Handle, user: &SimUser) -> Self {
        Self {
            http: http(sim),
            base: format!("{}/api/v2/", sim.rest_url()),
            token: user.token.clone(),
        }
    }

    pub fn with_token(&self, token: String) -> Self {
        Self {
            token,
            ..self.clone()
        }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method.parse().unwrap(), format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    /// Status and body (null if empty).
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        (status, body)
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn new_channel(&self) -> String {
        let path = "notifications/channels?connectionType=streaming";
        let (status, body) = self.call("POST", path, None).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One streaming connection.
pub struct Client {
    pub rest: Rest,
    pub user: SimUser,
    pub channel: String,
    pub full: String,
    /// The id of the last `<open>`.
    pub stream: String,
    domain: String,
    socket: Socket,
    inbox: VecDeque<Element>,
}

impl Client {
    /// Opens a socket on a channel, without saying anything yet.
    pub async fn open(sim: &Handle, user: &SimUser, channel: &str) -> Self {
        let url = format!("{}/stream/channels/{channel}", sim.streaming_url());
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        let connector = Connector::Rustls(tls(sim));
        let (socket, response) =
            connect_async_tls_with_config(request, None, true, Some(connector))
                .await
                .unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "xmpp");
        Self {
            rest: Rest::new(sim, user),
            user: user.clone(),
            channel: channel.to_owned(),
            full: String::new(),
            stream: String::new(),
            domain: user.bare_jid.split('@').nth(1).unwrap().to_owned(),
            socket,
            inbox: VecDeque::new(),
        }
    }

    /// The whole of genesys-protocol 2.2, as the trace has it.
    pub async fn online(sim: &Handle, user: &SimUser) -> Self {
        let rest = Rest::new(sim, user);
        let channel = rest.new_channel().await;
        let mut client = Self::open(sim, user, &channel).await;
        client.negotiate(Some("phone")).await;
        client.subscribe("conversations").await;
        let topics = json!([{"id": format!("v2.users.{}?conversations&station", user.user_id)}]);
        let path = format!("notifications/channels/{channel}/subscriptions");
        let (status, body) = client.rest.call("PUT", &path, Some(topics)).await;
        assert_eq!(status, 200, "{body}");
        client.subscribe("persistentconnection").await;
        client
    }

    pub async fn open_stream(&mut self) {
        let open = format!(
            "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" xml:lang=\"en\" to=\"{}\" version=\"1.0\"/>",
            self.domain
        );
        self.send(&open).await;
        let opened = self.next().await;
        assert!(
            opened.is("open", "urn:ietf:params:xml:ns:xmpp-framing"),
            "{opened:?}"
        );
        self.stream = opened.attribute("id").unwrap().to_owned();
    }

    /// SASL PLAIN with the user's token, and what the server says to it.
    pub async fn authenticate(&mut self) -> Element {
        let plain = format!("\0{}\0authKey:{}", self.user.bare_jid, self.rest.token);
        let plain = base64::engine::general_purpose::STANDARD.encode(plain);
        self.send(&format!(
            "<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">{plain}</auth>"
        ))
        .await;
        self.next().await
    }

    /// From `<open>` to extdisco.
    pub async fn negotiate(&mut self, resource: Option<&str>) {
        self.open_stream().await;
        let features = self.next().await;
        let mechanisms = &features.children[0];
        assert!(mechanisms.is("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl"));
        assert_eq!(mechanisms.children[0].text, "PLAIN");
        let success = self.authenticate().await;
        assert!(
            success.is("success", "urn:ietf:params:xml:ns:xmpp-sasl"),
            "{success:?}"
        );
        self.open_stream().await;
        let features = self.next().await;
        assert!(
            features
                .child("bind", "urn:ietf:params:xml:ns:xmpp-bind")
                .is_some()
        );
        let bind = match resource {
            Some(resource) => format!(
                "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"><resource>{resource}</resource></bind>"
            ),
            None => "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/>".to_owned(),
        };
        let bound = self.iq("set", None, &bind).await;
        self.full = bound.children[0].children[0].text.clone();
        for kind in ["turn", "stun"] {
            self.services(kind).await;
        }
    }

    /// extdisco services of one type.
    pub async fn services(&mut self, kind: &str) -> Vec<Element> {
        let domain = self.domain.clone();
        let asked = format!("<services xmlns=\"urn:xmpp:extdisco:1\" type=\"{kind}\"/>");
        let result = self.iq("get", Some(&domain), &asked).await;
        result
            .child("services", "urn:xmpp:extdisco:1")
            .unwrap()
            .children
            .clone()
    }

    pub async fn subscribe(&mut self, topic: &str) {
        let node = format!("v2.users.{}.{topic}", self.user.user_id);
        let bare = self.user.bare_jid.clone();
        let asked = format!(
            "<pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><subscribe node=\"{node}\" jid=\"{bare}\"/></pubsub>"
        );
        let result = self.iq("set", Some(SERVICE), &asked).await;
        assert_eq!(result.attribute("type"), Some("result"), "{result:?}");
        let subscription = &result.children[0].children[0];
        assert_eq!(subscription.attribute("node"), Some(node.as_str()));
        assert_eq!(subscription.attribute("subscription"), Some("subscribed"));
    }

    pub async fn send(&mut self, text: &str) {
        self.socket
            .send(Message::text(text.to_owned()))
            .await
            .unwrap();
    }

    /// Sends a request and waits for its result, as strictly as the client does (genesys-protocol
    /// 3.4): `from` is absent, own, or the addressee.
    pub async fn iq(&mut self, kind: &str, to: Option<&str>, child: &str) -> Element {
        let id = Uuid::new_v4().to_string();
        let head = to.map_or_else(String::new, |to| format!(" to=\"{}\"", escape(to)));
        self.send(&format!(
            "<iq xmlns=\"jabber:client\" id=\"{id}\" type=\"{kind}\"{head}>{child}</iq>"
        ))
        .await;
        self.result(&id, to).await
    }

    pub async fn result(&mut self, id: &str, to: Option<&str>) -> Element {
        let result = self
            .expect(|one| {
                one.name == "iq"
                    && one.attribute("id") == Some(id)
                    && matches!(one.attribute("type"), Some("result" | "error"))
            })
            .await;
        let from = result.attribute("from");
        assert!(
            from.is_none() || from == to,
            "the client ignores {result:?}"
        );
        result
    }

    /// The next frame that is as wanted; the others stay for later.
    pub async fn expect(&mut self, wanted: impl Fn(&Element) -> bool) -> Element {
        if let Some(position) = self.inbox.iter().position(&wanted) {
            return self.inbox.remove(position).unwrap();
        }
        loop {
            let frame = self.receive().await.expect("the socket was closed");
            if wanted(&frame) {
                return frame;
            }
            self.inbox.push_back(frame);
        }
    }

    /// The next frame, whatever it is.
    pub async fn next(&mut self) -> Element {
        match self.inbox.pop_front() {
            Some(frame) => frame,
            None => self.receive().await.expect("the socket was closed"),
        }
    }

    /// The next frame from the wire; nothing when the socket ends.
    pub async fn receive(&mut self) -> Option<Element> {
        loop {
            let message = tokio::time::timeout(WAIT, self.socket.next())
                .await
                .unwrap_or_else(|_| panic!("no frame; waiting: {:#?}", self.inbox));
            match message {
                Some(Ok(Message::Text(text))) => return Some(Element::parse(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// What the gateway says about a session, as JSON-RPC of this method.
    pub async fn rpc(&mut self, method: &str) -> (Element, Value) {
        let read = |one: &Element| -> Option<Value> {
            serde_json::from_str(&one.child("genesys-webrtc", "genesys")?.text).ok()
        };
        let iq = self
            .expect(|one| read(one).is_some_and(|message| message["method"] == method))
            .await;
        let message = read(&iq).unwrap();
        (iq, message)
    }

    /// Says JSON-RPC to a gateway and waits for the result.
    pub async fn say_rpc(&mut self, peer: &str, method: &str, params: Value) {
        let id = Uuid::new_v4().to_string();
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let text = format!(
            "<iq xmlns=\"jabber:client\" id=\"{id}\" type=\"set\" from=\"{}\" to=\"{peer}\"><genesys-webrtc xmlns=\"genesys\">{}</genesys-webrtc></iq>",
            self.full,
            escape(&message.to_string())
        );
        self.send(&text).await;
        let result = self.result(&id, Some(peer)).await;
        assert_eq!(result.attribute("type"), Some("result"), "{result:?}");
    }

    /// The next propose.
    pub async fn propose(&mut self) -> (Element, Element) {
        let message = self
            .expect(|one| one.child("propose", "urn:xmpp:jingle-message:0").is_some())
            .await;
        let propose = message.children[0].clone();
        (message, propose)
    }

    /// The next event of a topic of this user.
    pub async fn event(&mut self, topic: &str) -> Value {
        let node = format!("v2.users.{}.{topic}", self.user.user_id);
        let message = self
            .expect(|one| items(one).attribute("node") == Some(&node))
            .await;
        let json = &items(&message).children[0].children[0];
        assert!(json.is("json", "urn:xmpp:json:0"));
        let value: Value = serde_json::from_str(&json.text).unwrap();
        assert_eq!(value["topicName"], node.as_str());
        value["eventBody"].clone()
    }

    /// The next event of conversations, and in it this user's participant.
    pub async fn conversation(&mut self) -> (Value, Value) {
        let body = self.event("conversations").await;
        let own = own(&body, &self.user.user_id);
        (body, own)
    }

    /// Waits for the event with this state of the user's call.
    pub async fn state(&mut self, state: &str) -> (Value, Value) {
        let (body, own) = self.conversation().await;
        assert_eq!(own["calls"][0]["state"], state, "{body}");
        (body, own)
    }

    /// Says a message initiation (genesys-protocol 5.2).
    pub async fn message(&mut self, to: &str, what: &str, session: &str) {
        let text = format!(
            "<message xmlns=\"jabber:client\" to=\"{to}\"><{what} xmlns=\"urn:xmpp:jingle-message:0\" id=\"{session}\"/></message>"
        );
        self.send(&text).await;
    }

    /// Breaks the connection without a word.
    pub fn drop_socket(self) {
        drop(self.socket);
    }
}

/// The user's newest participant that is no mailbox.
pub fn own(conversation: &Value, user: &str) -> Value {
    let all = conversation["participants"].as_array().unwrap();
    let found = all
        .iter()
        .rev()
        .find(|one| one["userId"] == user && one["purpose"] != "voicemail");
    found
        .unwrap_or_else(|| panic!("no own participant: {conversation}"))
        .clone()
}

fn items(message: &Element) -> Element {
    message
        .child("event", "http://jabber.org/protocol/pubsub#event")
        .and_then(|event| event.children.first().cloned())
        .unwrap_or_default()
}

/// Nothing was done wrong.
pub fn assert_clean(violations: &[Violation]) {
    assert!(violations.is_empty(), "{violations:#?}");
}
