//! `offhook check`: is the cloud reachable, step by step, and what to fix if not.

use super::cloud::CloudConfig;
use super::connection::{self, Credentials, rest_error};
use super::environment::{Endpoint, Environment};
use super::login::{Login, LoginState};
use super::model::User;
use super::rest::RestError;
use super::rest::client::Rest;
use super::stations::{StationTrouble, StationWish, must_search, preview};
use super::token::{TokenError, TokenSource};
use super::transport::{Network, connect_tcp, connect_tls};
use std::sync::Arc;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As it should be.
    Ok,
    /// The phone works, but look at it.
    Warning,
    /// The phone does not work until this is fixed.
    Failed,
    /// Not tried, because of an earlier failure.
    Skipped,
}

/// One step of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckLine {
    /// What was tried.
    pub step: String,
    /// How it went.
    pub outcome: CheckOutcome,
    /// What was found, or what is wrong and what to do. Holds no token, number or name of a person.
    pub detail: String,
}

/// Tries everything the phone needs of the cloud, in the order it needs it. Takes some seconds; signs in with a
/// resource of its own, so a running phone is not disturbed.
pub async fn check(config: &CloudConfig, token: &TokenSource) -> Vec<CheckLine> {
    let mut report = Report::default();
    let environment = match config.hosts() {
        Ok(environment) => environment,
        Err(error) => {
            report.failed("configuration", error.to_string());
            return report.lines;
        }
    };
    let network = match Network::new(config) {
        Ok(network) => Arc::new(network),
        Err(error) => {
            report.failed("configuration", error.to_string());
            return report.lines;
        }
    };
    report.configuration(config);
    let has_token = match token.as_login() {
        Some(login) => {
            let endpoint = environment.login_endpoint();
            report.host("login", &endpoint, &network).await;
            report.login(login)
        }
        None => report.token(token),
    };
    let rest_reached = report
        .host("REST", &environment.api_endpoint(), &network)
        .await;
    let stream_reached = report
        .host("streaming", &environment.streaming_endpoint(), &network)
        .await;
    if !(has_token && rest_reached) {
        for step in ["user", "station", "streaming sign-in"] {
            report.line(step, CheckOutcome::Skipped, "see above");
        }
        return report.lines;
    }
    let rest = Rest::new(network.clone(), token.clone());
    let host = environment.api_endpoint().host;
    let Some(user) = report.user(&rest, &host).await else {
        for step in ["station", "streaming sign-in"] {
            report.line(step, CheckOutcome::Skipped, "see above");
        }
        return report.lines;
    };
    report.station(&rest, &user, &config.station).await;
    if stream_reached {
        report
            .sign_in(&network, &rest, token, &environment, &user)
            .await;
    } else {
        report.line("streaming sign-in", CheckOutcome::Skipped, "see above");
    }
    report.lines
}

#[derive(Default)]
struct Report {
    lines: Vec<CheckLine>,
}

impl Report {
    fn line(&mut self, step: &str, outcome: CheckOutcome, detail: impl Into<String>) {
        self.lines.push(CheckLine {
            step: step.to_owned(),
            outcome,
            detail: detail.into(),
        });
    }

    fn ok(&mut self, step: &str, detail: impl Into<String>) {
        self.line(step, CheckOutcome::Ok, detail);
    }

    fn failed(&mut self, step: &str, detail: impl Into<String>) {
        self.line(step, CheckOutcome::Failed, detail);
    }

    fn configuration(&mut self, config: &CloudConfig) {
        let detail = format!("environment {}", config.environment);
        if Environment::is_known(&config.environment) {
            self.ok("configuration", detail);
        } else {
            let advice =
                "which this phone does not know as a region: if nothing answers there, correct it";
            self.line(
                "configuration",
                CheckOutcome::Warning,
                format!("{detail}, {advice}"),
            );
        }
    }

    fn login(&mut self, login: &Login) -> bool {
        login.reread();
        let trouble = login.trouble();
        let (outcome, detail) = match (login.state(), trouble) {
            (LoginState::LoggedIn { .. }, Some(trouble)) => {
                (CheckOutcome::Failed, format!("it cannot be renewed: {trouble}"))
            }
            (LoginState::LoggedIn { renews: true }, None) => {
                (CheckOutcome::Ok, "an agent is logged in, and the login renews itself".to_owned())
            }
            (LoginState::LoggedIn { renews: false }, None) => (
                CheckOutcome::Warning,
                "an agent is logged in until the token ends; with cloud.client_secret_file the login renews itself"
                    .to_owned(),
            ),
            (LoginState::Needed(_), Some(trouble)) => (CheckOutcome::Failed, trouble.to_string()),
            (LoginState::Needed(_), None) => (CheckOutcome::Failed, TokenError::LoginNeeded.to_string()),
        };
        self.line("login", outcome, detail);
        login.current().is_some()
    }

    fn token(&mut self, token: &TokenSource) -> bool {
        match token.reload() {
            Err(error) => {
                self.failed("access token", error.to_string());
                false
            }
            Ok(_) if token.is_exposed() => {
                let detail = "there is one, but other users of this machine can read its file: make it mode 0600";
                self.line("access token", CheckOutcome::Warning, detail);
                true
            }
            Ok(_) => {
                self.ok("access token", "there is one");
                true
            }
        }
    }

    /// Name, port and certificate of a host.
    async fn host(&mut self, what: &str, endpoint: &Endpoint, network: &Network) -> bool {
        let step = format!("{what} host");
        let address = format!("{}:{}", endpoint.host, endpoint.port);
        let stream = match connect_tcp(endpoint).await {
            Ok(stream) => stream,
            Err(error) => {
                self.failed(&step, error.to_string());
                return false;
            }
        };
        if !endpoint.tls {
            let (outcome, advice) = if endpoint.is_loopback() {
                (CheckOutcome::Ok, "not encrypted, on this machine")
            } else {
                (
                    CheckOutcome::Warning,
                    "not encrypted: anybody on the way can read the access token; use https and wss",
                )
            };
            self.line(&step, outcome, format!("{address} answers, {advice}"));
            return true;
        }
        let tls = connect_tls(endpoint, stream, Arc::clone(network.tls()));
        match tokio::time::timeout(connection::SIGN_IN_TIMEOUT, tls).await {
            Ok(Ok(_)) => {
                self.ok(
                    &step,
                    format!("{address} answers, its certificate is trusted"),
                );
                true
            }
            Ok(Err(error)) => {
                self.failed(&step, error.to_string());
                false
            }
            Err(_) => {
                self.failed(
                    &step,
                    format!("{address} takes connections but does not speak TLS: check the port"),
                );
                false
            }
        }
    }

    async fn user(&mut self, rest: &Rest, host: &str) -> Option<User> {
        match rest.user().await {
            Ok(user) if user.chat.jabber_id.as_str().contains('@') => {
                self.ok("user", format!("the token is valid, user id {}", user.id));
                Some(user)
            }
            Ok(_) => {
                self.failed(
                    "user",
                    "the token's user has no chat address: use a user's token",
                );
                None
            }
            Err(error) => {
                let correlation = match &error {
                    RestError::Status {
                        correlation_id: Some(id),
                        ..
                    } => format!(" [correlation id {id}]"),
                    _ => String::new(),
                };
                self.failed("user", format!("{}{correlation}", rest_error(error, host)));
                None
            }
        }
    }

    async fn station(&mut self, rest: &Rest, user: &User, wish: &StationWish) {
        if must_search(wish, user) {
            return self.search(rest, user, wish).await;
        }
        let effective = user
            .station
            .as_ref()
            .and_then(|s| s.effective_station.as_ref());
        let Some(reference) = effective else {
            let detail = "the user has no effective station, so calls will not ring here: associate the user with \
                          a WebRTC station";
            return self.line("station", CheckOutcome::Warning, detail);
        };
        match rest.station(&reference.id).await {
            Ok(station) if station.is_webrtc() => {
                let appearances = station.web_rtc_call_appearances.unwrap_or(1);
                let persistent = if station.is_persistent() { "on" } else { "off" };
                self.ok(
                    "station",
                    format!(
                        "WebRTC station {}, {appearances} line appearance(s), persistent connection {persistent}",
                        station.id
                    ),
                );
            }
            Ok(station) => {
                let kind = station.r#type.unwrap_or_else(|| "unknown".to_owned());
                let detail = format!(
                    "the effective station is of type {kind}, so calls ring elsewhere: associate the user with a \
                     WebRTC station"
                );
                self.line("station", CheckOutcome::Warning, detail);
            }
            Err(error) => self.line("station", CheckOutcome::Warning, error.to_string()),
        }
    }

    /// What the phone will do about the missing station when it starts.
    async fn search(&mut self, rest: &Rest, user: &User, wish: &StationWish) {
        let stations = match rest.stations_of(&user.id).await {
            Ok(stations) => stations,
            Err(error) => {
                let trouble = StationTrouble::Rest(error);
                let detail = format!(
                    "the user has no effective station, and none can be looked for: {trouble}"
                );
                return self.line("station", CheckOutcome::Warning, detail);
            }
        };
        match preview(stations, &user.id, wish) {
            Ok(fit) => match fit.as_slice() {
                [one] => self.ok(
                    "station",
                    format!("WebRTC station {}, with which the phone associates the user when it starts", one.id),
                ),
                several => {
                    let detail = format!(
                        "the user has no effective station and {} WebRTC phones: choose one on the phone, or in \
                         cloud.station",
                        several.len()
                    );
                    self.line("station", CheckOutcome::Warning, detail);
                }
            },
            Err(trouble) => {
                let detail = format!("the user has no effective station: {trouble}");
                self.line("station", CheckOutcome::Warning, detail);
            }
        }
    }

    async fn sign_in(
        &mut self,
        network: &Network,
        rest: &Rest,
        token: &TokenSource,
        environment: &Environment,
        user: &User,
    ) {
        const STEP: &str = "streaming sign-in";
        let channel = match rest.create_channel().await {
            Ok(channel) => channel,
            Err(error) => {
                let host = environment.api_endpoint().host;
                return self.failed(STEP, rest_error(error, &host).to_string());
            }
        };
        let token = match token.current() {
            Ok(token) => token,
            Err(error) => return self.failed(STEP, error.to_string()),
        };
        let resource = format!("check-{}", uuid::Uuid::new_v4());
        let who = Credentials {
            bare: &user.chat.jabber_id.bare(),
            resource: &resource,
            token,
        };
        match connection::sign_in(network, &channel, who).await {
            Ok((mut link, _)) => {
                connection::close(&mut link, true).await;
                self.ok(STEP, "call signaling works");
            }
            Err(failure) => self.failed(STEP, failure.error.to_string()),
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
