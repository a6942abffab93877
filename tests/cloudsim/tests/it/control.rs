//! The control API, its page, and the life of a simulator.

use std::net::SocketAddr;

use offhook_cloudsim::{Options, SimUser, Simulator, UserSpec};
use serde_json::{Value, json};

use crate::client::{Client, WAIT, simulator_with};

async fn controlled() -> (Simulator, SimUser, Control) {
    let control = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let options = Options {
        control,
        ..Options::default()
    };
    let (sim, user) = simulator_with(options, UserSpec::default()).await;
    let control = Control::new(&sim.control_url().unwrap());
    (sim, user, control)
}

struct Control {
    http: reqwest::Client,
    base: String,
}

impl Control {
    fn new(base: &str) -> Self {
        // Built with no TLS provider of its own; this one is for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::new(),
            base: base.to_owned(),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test]
async fn a_call_by_the_control_api() {
    let (sim, user, control) = controlled().await;
    let mut client = Client::online(&sim, &user).await;
    let (status, made) = control
        .ask(
            "POST",
            "/sim/calls",
            Some(json!({"to": "Agent One", "fromName": "Ada"})),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    let call = made["conversationId"].as_str().unwrap().to_owned();
    let (_, own) = client.state("alerting").await;
    assert_eq!(own["calls"][0]["other"]["name"], "Ada");
    let (_, report) = control
        .ask("GET", &format!("/sim/calls/{call}"), None)
        .await;
    assert_eq!(
        (&report["state"], &report["form"]),
        (&"alerting".into(), &"sdpOverXmpp".into())
    );
    let verb = |verb: &str| format!("/sim/calls/{call}/{verb}");
    assert_eq!(control.ask("POST", &verb("answer"), None).await.0, 409);
    assert_eq!(control.ask("POST", &verb("hold"), None).await.0, 409);
    assert_eq!(control.ask("POST", &verb("dance"), None).await.0, 404);
    assert_eq!(control.ask("POST", &verb("retract"), None).await.0, 200);
    client.state("disconnected").await;
    assert_eq!(
        control.ask("GET", &verb("recording.wav"), None).await.0,
        404
    );
    let (_, calls) = control.ask("GET", "/sim/calls", None).await;
    assert_eq!(calls.as_array().unwrap().len(), 1);
    let (_, log) = control.ask("GET", "/sim/log?since=0", None).await;
    assert!(log.as_array().unwrap().len() > 10);
    let (_, status) = control.ask("GET", "/sim/status", None).await;
    assert_eq!(status["users"][0]["online"], true);
    assert_eq!(status["violations"], 0);
}

#[tokio::test]
async fn users_tokens_faults_and_violations_by_the_control_api() {
    let (sim, _, control) = controlled().await;
    let (status, two) = control
        .ask("POST", "/sim/users", Some(json!({"name": "Two"})))
        .await;
    assert_eq!(status, 201);
    let two: SimUser = serde_json::from_value(two).unwrap();
    let client = Client::online(&sim, &two).await;
    let (_, token) = control
        .ask(
            "POST",
            "/sim/users/Two/tokens",
            Some(json!({"seconds": 60})),
        )
        .await;
    assert!(token["token"].is_string());
    let fault = json!({"fault": "rest", "path": "users/me", "status": 503});
    assert_eq!(control.ask("POST", "/sim/faults", Some(fault)).await.0, 200);
    assert_eq!(client.rest.call("GET", "users/me", None).await.0, 503);
    let wrong = json!({"fault": "dropSockets", "user": "Nobody"});
    let (status, answer) = control.ask("POST", "/sim/faults", Some(wrong)).await;
    assert_eq!(status, 409);
    assert!(answer["message"].as_str().unwrap().contains("Nobody"));
    let (status, answer) = control
        .ask("POST", "/sim/calls", Some(json!({"too": "x"})))
        .await;
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap().contains("too"));
    client.rest.call("GET", "nonsense", None).await;
    let (_, violations) = control.ask("GET", "/sim/violations", None).await;
    assert_eq!(violations[0]["what"], "unknown-request");
    control.ask("DELETE", "/sim/violations", None).await;
    assert!(sim.violations().is_empty());
    let outbound = json!({"order": ["propose", "event", "reply"], "answerAfterMs": 5});
    assert_eq!(
        control.ask("POST", "/sim/outbound", Some(outbound)).await.0,
        200
    );
}

#[tokio::test]
async fn the_page_and_the_events() {
    let (sim, _, control) = controlled().await;
    let page = control.http.get(&control.base).send().await.unwrap();
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.text().await.unwrap().contains("Call the phone"));
    let far_end = control
        .http
        .get(format!("{}/sim/far-end", control.base))
        .send()
        .await
        .unwrap();
    assert_eq!(far_end.status(), 200);
    let mut events = control
        .http
        .get(format!("{}/sim/events", control.base))
        .send()
        .await
        .unwrap();
    sim.add_user(UserSpec::named("Eve"));
    let event = tokio::time::timeout(WAIT, events.chunk())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let event = String::from_utf8(event.to_vec()).unwrap();
    assert!(
        event.contains("data: {") && event.contains("Eve"),
        "{event}"
    );
    // It ends with the simulator, which does not have to wait for its listeners.
    let stopped = std::time::Instant::now();
    sim.stop().await;
    assert!(stopped.elapsed() < std::time::Duration::from_secs(2));
    while let Ok(Some(_)) = tokio::time::timeout(WAIT, events.chunk()).await.unwrap() {}
}

#[tokio::test]
async fn a_dropped_simulator_is_gone() {
    let (sim, user, control) = controlled().await;
    let address = sim.address();
    let mut client = Client::online(&sim, &user).await;
    drop(sim);
    assert!(client.receive().await.is_none());
    let gone = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, gone).await.unwrap();
    drop(control);
}

#[tokio::test]
async fn the_ca_of_a_folder_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        state_dir: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let first = Simulator::start(options.clone()).await.unwrap();
    let (pem, path) = (first.ca_pem().to_owned(), first.ca_pem_path());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), pem);
    first.stop().await;
    let (second, user) = simulator_with(options, UserSpec::default()).await;
    assert_eq!(second.ca_pem(), pem);
    Client::online(&second, &user).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = Simulator::start(Options::default()).await.unwrap();
    let options = Options {
        listen: taken.address(),
        ..Options::default()
    };
    let Err(error) = Simulator::start(options).await else {
        panic!("two on one port")
    };
    assert!(
        error.to_string().contains(&taken.address().to_string()),
        "{error:#}"
    );
}
