//! Login and stations: what the cloud tells of them, and what display, page and keys want.

use super::{Runtime, Wake, notices};
use crate::device::Private;
use crate::genesys::id::StationId;
use crate::genesys::{
    CloudEvent, LoginError, LoginNeed, LoginState, StationSummary, StationTrouble,
};
use crate::panel::status::{ApiSpeedDial, ApiStation, LoginStatus};
use crate::panel::{LoginReturn, Refusal, Request};
use crate::phone::{self, Invitation, Notice, StationEntry, Wish};
use crate::softphone::{self, Command};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// Letters of a code that are not mistaken for one another (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of the code on the display: a thousand million codes, of which one works, while somebody may log in.
const CODE_LETTERS: usize = 6;

/// What is known of login and stations.
#[derive(Default)]
pub(super) struct Account {
    /// On the display while somebody has to log in.
    code: String,
    /// What its QR code says.
    link: Private,
    /// The station that was taken away.
    lost: Option<StationSummary>,
    /// Why there is no station.
    pub trouble: Option<Notice>,
    /// The stations as last listed.
    stations: Vec<StationSummary>,
}

/// A wish of the phone's keys has come to its end.
#[derive(Debug)]
pub(super) enum Fulfilled {
    Stations(Result<Vec<StationSummary>, StationTrouble>),
    Done(Wish),
    Failed(Wish),
}

impl Runtime {
    /// Who may use the phone, at the start.
    pub(super) fn first_login(&mut self) {
        if let Ok(login) = self.cloud.login() {
            let state = login.state();
            self.login_is(&state);
        }
    }

    /// What the cloud tells of login and stations.
    pub(super) fn account_event(&mut self, now: Instant, event: &CloudEvent) {
        match event {
            CloudEvent::LoggedIn { renews } => {
                self.notice_over(phone::NoticeArea::Cloud);
                self.login_is(&LoginState::LoggedIn { renews: *renews });
                self.events.publish("loggedIn", &serde_json::json!({}));
            }
            CloudEvent::LoginNeeded(need) => {
                tracing::warn!(?need, "somebody has to log in");
                // One that still works for a while is no reason to stand in the way: the page tells.
                if !matches!(need, LoginNeed::Expiring { .. }) {
                    self.notice(phone::Notice::LoginNeeded);
                }
                self.login_is(&LoginState::Needed(need.clone()));
                let status = self.login_status();
                self.events.publish("loginNeeded", &status);
            }
            CloudEvent::LoggedOut => {
                tracing::info!("logged out");
                self.identity = None;
                self.connected = false;
                self.account.lost = None;
                self.account.trouble = None;
                self.account.stations.clear();
                self.notice_over(phone::NoticeArea::Station);
            }
            CloudEvent::StationChoice(stations) => {
                self.account.stations.clone_from(stations);
                self.account.trouble = None;
                self.notice(phone::Notice::NoStation);
                self.show_stations(now);
                let listed = self.api_stations();
                self.events.publish("stationChoice", &listed);
            }
            CloudEvent::StationTrouble(trouble) => {
                tracing::error!(%trouble, "calls will not ring here");
                if let StationTrouble::Taken { station } | StationTrouble::TakenAway { station } =
                    trouble
                {
                    self.account.lost = Some(station.clone());
                }
                let notice = notices::of_trouble(trouble);
                self.account.trouble = Some(notice.clone());
                self.notice(notice);
            }
            _ => {}
        }
    }

    fn login_is(&mut self, state: &LoginState) {
        let login = match state {
            LoginState::LoggedIn { .. } | LoginState::Needed(LoginNeed::Expiring { .. }) => {
                self.account.code.clear();
                phone::Login::In
            }
            LoginState::Needed(_) => phone::Login::Out(self.invitation()),
        };
        self.phone.handle(super::now(), phone::Input::Login(login));
    }

    /// With a new code each time: one that was seen earlier does not work for ever.
    fn invitation(&mut self) -> Invitation {
        let bytes = uuid::Uuid::new_v4().into_bytes();
        let letters = bytes.iter().take(CODE_LETTERS);
        self.account.code = letters
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
            .collect();
        let address = format!("{}/L/{}", self.page_address(), self.account.code);
        // Capitals take less room in a code, and neither scheme nor host nor our path minds.
        self.account.link = Private::from(address.to_uppercase());
        Invitation {
            link: self.account.link.clone(),
            address: address
                .strip_prefix("http://")
                .map_or(address.clone(), str::to_owned),
        }
    }

    /// The page for others in the network, by address: a name works only where somebody resolves it.
    fn page_address(&self) -> String {
        let listen = self.panel.address();
        let ip = match listen {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => own_address(),
            _ => Some(listen.ip()),
        };
        let at = SocketAddr::new(ip.unwrap_or(listen.ip()), listen.port());
        let scheme = if listen.ip().is_loopback() {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{at}")
    }

    /// What the phone's keys want.
    pub(super) fn wish(&mut self, wish: Wish) {
        let (cloud, wake) = (self.cloud.clone(), self.wake.clone());
        let station = match &wish {
            Wish::UseStation(id) => self.station(id),
            Wish::TakeStationBack => self.account.lost.clone(),
            Wish::ListStations | Wish::RingHere => None,
            Wish::LogOut => {
                self.end_all_calls();
                None
            }
        };
        tokio::spawn(async move {
            let done = match (&wish, station) {
                (Wish::ListStations, _) => Fulfilled::Stations(cloud.stations().await),
                (Wish::LogOut, _) => match cloud.log_out().await {
                    Ok(()) => Fulfilled::Done(wish),
                    Err(error) => {
                        tracing::error!(%error, "not logged out");
                        Fulfilled::Failed(wish)
                    }
                },
                (Wish::RingHere, _) => match cloud.claim_alerting().await {
                    Ok(()) => Fulfilled::Done(wish),
                    Err(error) => {
                        tracing::error!(%error, "the cloud does not let this phone ring alone");
                        Fulfilled::Failed(wish)
                    }
                },
                (_, Some(station)) => match cloud.choose_station(&station).await {
                    Ok(()) => Fulfilled::Done(wish),
                    Err(trouble) => {
                        tracing::error!(%trouble, "the station cannot be used");
                        Fulfilled::Failed(wish)
                    }
                },
                (_, None) => Fulfilled::Failed(wish),
            };
            // The phone is stopping: nobody waits for it.
            let _ = wake.send(Wake::Fulfilled(done)).await;
        });
    }

    pub(super) fn fulfilled(&mut self, now: Instant, done: Fulfilled) {
        match done {
            Fulfilled::Stations(Ok(stations)) => {
                self.account.stations = stations;
                self.show_stations(now);
            }
            Fulfilled::Stations(Err(trouble)) => {
                tracing::warn!(%trouble, "the stations cannot be listed");
                let input = match trouble {
                    StationTrouble::Missing => phone::Input::Stations(Vec::new()),
                    _ => phone::Input::Refused(Wish::ListStations),
                };
                self.phone.handle(now, input);
            }
            Fulfilled::Done(Wish::UseStation(_) | Wish::TakeStationBack) => {
                self.account.lost = None;
                self.account.trouble = None;
                self.notice_over(phone::NoticeArea::Station);
            }
            Fulfilled::Done(_) => {}
            Fulfilled::Failed(wish) => self.phone.handle(now, phone::Input::Refused(wish)),
        }
    }

    fn show_stations(&mut self, now: Instant) {
        let ours = self.station_in_use();
        let entry = |station: &StationSummary| StationEntry {
            id: station.id.clone(),
            name: Private::from(station.name.as_str()),
            is_taken: station.taken,
            is_ours: Some(&station.id) == ours.as_ref(),
        };
        let entries = self.account.stations.iter().map(entry).collect();
        self.phone.handle(now, phone::Input::Stations(entries));
    }

    fn station_in_use(&self) -> Option<StationId> {
        let station = self.identity.as_ref()?.station.as_ref()?;
        Some(station.id.clone())
    }

    fn station(&self, id: &StationId) -> Option<StationSummary> {
        let mut stations = self.account.stations.iter();
        stations.find(|station| &station.id == id).cloned()
    }

    /// Nobody's calls go on at a phone that is not theirs any more.
    fn end_all_calls(&mut self) {
        let calls: Vec<_> = self
            .softphone
            .calls()
            .filter(|call| call.accepted)
            .map(|call| call.conversation_id)
            .collect();
        for id in calls {
            let command = softphone::Input::Command {
                id: softphone::CommandId(self.next_command),
                command: Command::End(id),
            };
            self.next_command += 1;
            self.softphone.handle(super::now(), command);
        }
    }

    /// `GET /login`, and part of `GET /status`.
    pub(super) fn login_status(&self) -> LoginStatus {
        let mut status = LoginStatus {
            state: "given",
            ..LoginStatus::default()
        };
        let Ok(login) = self.cloud.login() else {
            return status;
        };
        status.trouble = login.trouble().map(|trouble| trouble.to_string());
        match login.state() {
            LoginState::LoggedIn { .. } => status.state = "loggedIn",
            LoginState::Needed(need) => {
                status.state = "needed";
                status.address = Some(self.page_address());
                let is_public = !self.panel.address().ip().is_loopback();
                let is_open = is_public && !self.account.code.is_empty();
                status.link = is_open.then(|| self.account.link.clone());
                status.reason = Some(match need {
                    LoginNeed::Nobody => "nobody",
                    LoginNeed::LoggedOut => "loggedOut",
                    LoginNeed::Expiring { .. } => "expiring",
                    LoginNeed::Refused => "refused",
                });
            }
        }
        status
    }

    fn api_stations(&self) -> Vec<ApiStation> {
        listed(&self.account.stations, self.station_in_use().as_ref())
    }

    /// What the local API asks about login, stations and speed dials.
    pub(super) fn account_request(&mut self, request: Request) {
        let cloud = self.cloud.clone();
        match request {
            Request::Login { reply } => drop(reply.send(self.login_status())),
            Request::BeginLogin {
                page,
                invitation,
                reply,
            } => {
                let is_invited = invitation.is_none_or(|code| {
                    !self.account.code.is_empty()
                        && code.expose().eq_ignore_ascii_case(&self.account.code)
                });
                let begun = if is_invited {
                    let login = cloud.login().and_then(|login| login.begin(&page));
                    login.map(Private::from)
                } else {
                    Err(LoginError::Unknown)
                };
                drop(reply.send(begun.map_err(Refusal::Login)));
            }
            Request::FinishLogin { returned, reply } => {
                tokio::spawn(async move {
                    let finished = match (cloud.login(), returned) {
                        (Err(error), _) => Err(error),
                        (Ok(login), LoginReturn::Query(query)) => {
                            login.callback(query.expose()).await
                        }
                        (Ok(login), LoginReturn::Pasted(text)) => login.paste(text.expose()).await,
                    };
                    drop(reply.send(finished.map_err(Refusal::Login)));
                });
            }
            Request::LogOut { reply } => {
                self.end_all_calls();
                tokio::spawn(async move {
                    drop(reply.send(cloud.log_out().await.map_err(Refusal::Login)));
                });
            }
            Request::Stations { reply } => {
                let ours = self.station_in_use();
                tokio::spawn(async move {
                    let stations = cloud.stations().await;
                    let stations = stations.map(|stations| listed(&stations, ours.as_ref()));
                    drop(reply.send(stations.map_err(Refusal::Station)));
                });
            }
            Request::UseStation { station, reply } => {
                let wake = self.wake.clone();
                tokio::spawn(async move {
                    let chosen = async {
                        let stations = cloud.stations().await?;
                        let mut stations = stations.into_iter();
                        let wanted = stations.find(|one| one.id == station);
                        let wanted = wanted.ok_or(StationTrouble::Unknown)?;
                        cloud.choose_station(&wanted).await
                    };
                    let chosen = chosen.await;
                    if chosen.is_ok() {
                        let done = Fulfilled::Done(Wish::UseStation(station));
                        // The phone is stopping: nobody waits for it.
                        let _ = wake.send(Wake::Fulfilled(done)).await;
                    }
                    drop(reply.send(chosen.map_err(Refusal::Station)));
                });
            }
            Request::SpeedDials { reply } => {
                let dial = |dial: &crate::device::dialing::SpeedDial| ApiSpeedDial {
                    key: dial.key,
                    label: dial.label.clone(),
                    call: dial.call.clone(),
                };
                drop(reply.send(self.config.speed_dial.iter().map(dial).collect()));
            }
            // The others are not about the account.
            _ => {}
        }
    }
}

fn listed(stations: &[StationSummary], ours: Option<&StationId>) -> Vec<ApiStation> {
    let one = |station: &StationSummary| ApiStation {
        id: station.id.clone(),
        name: Private::from(station.name.as_str()),
        taken: station.taken,
        current: Some(&station.id) == ours,
    };
    stations.iter().map(one).collect()
}

/// The address others in the network see; nothing is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address (RFC 5737): only the route to it is looked up.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}
