//! The organization: users, their stations, their access tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::WallClock;
use crate::spec::{SimUser, UserSpec};

/// The organization.
#[derive(Debug)]
pub struct Directory {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The XMPP domain of its users' JIDs.
    pub domain: String,
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, Token>,
}

/// One user with the WebRTC station that is theirs.
#[derive(Debug, Clone)]
pub struct User {
    /// `U`.
    pub id: String,
    /// `BARE`.
    pub bare: String,
    /// How the user was made.
    pub spec: UserSpec,
    /// The user's WebRTC station.
    pub station: String,
    /// Whether that station is associated with the user.
    pub associated: bool,
    /// Since when.
    pub associated_since: Duration,
    /// The user's default station, if any.
    pub default_station: bool,
    /// The resource that was chosen last for a client that asked for none; it gets it again.
    pub last_resource: Option<String>,
    /// More stations that are the user's.
    pub spare_stations: Vec<String>,
    /// Which of them is or was associated last.
    pub current_station: String,
    /// Whoever else has the station now, by id.
    pub taken_by: Option<String>,
    /// `connectionId` of the client that rings.
    pub alerting_leader: Option<String>,
    /// The channel on which the persistent connection was set up eagerly last.
    pub eager_on: Option<String>,
}

/// An access token.
#[derive(Debug, Clone)]
struct Token {
    user: String,
    expires: Duration,
    revoked: bool,
    /// `user` is an OAuth client.
    client: bool,
}

/// Why a bearer token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Nobody has it.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
    /// It is a client's, with no user behind it.
    NoUser,
}

impl Directory {
    /// An organization without users.
    pub fn new(name: &str) -> Self {
        let short: String = Uuid::new_v4()
            .simple()
            .to_string()
            .chars()
            .take(12)
            .collect();
        Self {
            id: Uuid::new_v4().to_string(),
            name: name.to_owned(),
            domain: format!("org{short}.orgspan.com"),
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }

    /// Makes a user with a station and a first token.
    pub fn add(&mut self, now: Duration, spec: UserSpec) -> SimUser {
        let id = Uuid::new_v4().to_string();
        let node: String = Uuid::new_v4()
            .simple()
            .to_string()
            .chars()
            .take(24)
            .collect();
        let token = self.issue(now, &id, Duration::from_secs(spec.token_seconds));
        let user = User {
            bare: format!("{node}@{}", self.domain),
            station: Uuid::new_v4().to_string(),
            associated: spec.station,
            associated_since: now,
            default_station: spec.station,
            spare_stations: (0..spec.spare_stations)
                .map(|_| Uuid::new_v4().to_string())
                .collect(),
            current_station: String::new(),
            taken_by: None,
            alerting_leader: None,
            last_resource: None,
            eager_on: None,
            id: id.clone(),
            spec,
        };
        let user = User {
            current_station: user.station.clone(),
            ..user
        };
        let known = SimUser {
            user_id: id.clone(),
            name: user.spec.name.clone(),
            token,
            bare_jid: user.bare.clone(),
            station_id: user.station.clone(),
        };
        self.users.insert(id, user);
        known
    }

    /// Another token for a user.
    pub fn issue(&mut self, now: Duration, user: &str, life: Duration) -> String {
        let secret = format!("SIM-{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let token = Token {
            user: user.to_owned(),
            expires: now + life,
            revoked: false,
            client: false,
        };
        self.tokens.insert(secret.clone(), token);
        secret
    }

    /// A token of an OAuth client alone.
    pub fn issue_for_client(&mut self, now: Duration, client: &str, life: Duration) -> String {
        let secret = self.issue(now, client, life);
        if let Some(token) = self.tokens.get_mut(&secret) {
            token.client = true;
        }
        secret
    }

    /// Lets every token of a user, or some, run out then.
    pub fn expire_all(&mut self, at: Duration, user: &str) {
        for token in self.tokens.values_mut().filter(|token| token.user == user) {
            token.expires = token.expires.min(at);
        }
    }

    /// Lets a token's time be over.
    pub fn expire(&mut self, now: Duration, secret: &str) -> bool {
        self.tokens.get_mut(secret).is_some_and(|token| {
            token.expires = now;
            true
        })
    }

    /// Takes a token back.
    pub fn revoke(&mut self, secret: &str) -> bool {
        self.tokens.get_mut(secret).is_some_and(|token| {
            token.revoked = true;
            true
        })
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`TokenFault`] if it is no good.
    pub fn bearer(&self, now: Duration, secret: &str) -> Result<&User, TokenFault> {
        let token = self.tokens.get(secret).ok_or(TokenFault::Unknown)?;
        if token.revoked {
            return Err(TokenFault::Revoked);
        }
        if token.expires <= now {
            return Err(TokenFault::Expired);
        }
        if token.client {
            return Err(TokenFault::NoUser);
        }
        self.users.get(&token.user).ok_or(TokenFault::Unknown)
    }

    /// A user by id.
    pub fn user(&self, id: &str) -> Option<&User> {
        self.users.get(id)
    }

    /// A user by id, to change.
    pub fn user_mut(&mut self, id: &str) -> Option<&mut User> {
        self.users.get_mut(id)
    }

    /// All users.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// A user by id or name; by an empty text the only one.
    pub fn find(&self, who: &str) -> Option<&User> {
        if who.is_empty() {
            let mut users = self.users.values();
            return users.next().filter(|_| users.next().is_none());
        }
        self.users
            .get(who)
            .or_else(|| self.users.values().find(|user| user.spec.name == who))
    }

    /// Whose station it is.
    pub fn station_owner(&self, station: &str) -> Option<&User> {
        self.users
            .values()
            .find(|user| user.all_stations().any(|own| own == station))
    }

    /// `organizations/me`.
    pub fn organization(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "thirdPartyOrgName": self.domain.split('.').next().unwrap_or_default(),
            "domain": self.name.to_lowercase().replace(' ', "-"),
            "version": 1,
            "state": "active",
            "defaultLanguage": "en-us",
            "defaultCountryCode": "US",
            "productPlatform": "PureCloud",
            "features": {},
            "selfUri": "/api/v2/organizations/me",
        })
    }
}

impl User {
    /// The user as `users/me` tells, with or without `expand=station`.
    pub fn json(&self, station: bool, clock: WallClock) -> Value {
        let email = format!(
            "{}@example.test",
            self.spec.name.to_lowercase().replace(' ', ".")
        );
        let mut value = json!({
            "id": self.id,
            "name": self.spec.name,
            "division": {"id": "00000000-0000-4000-8000-000000000001", "name": "Home"},
            "chat": {"jabberId": self.bare},
            "email": email,
            "primaryContactInfo": [{"address": email, "mediaType": "EMAIL", "type": "PRIMARY"}],
            "addresses": [],
            "state": "active",
            "username": email,
            "version": 3,
            "acdAutoAnswer": self.spec.auto_answer,
            "selfUri": format!("/api/v2/users/{}", self.id),
        });
        if station {
            value["station"] = self.stations(clock);
        }
        value
    }

    /// `UserStations`.
    pub fn stations(&self, clock: WallClock) -> Value {
        let station = || {
            json!({
                "id": self.current_station,
                "name": self.name_of(&self.current_station),
                "type": "inin_webrtc_softphone",
                "associatedUser": {"id": self.id, "selfUri": format!("/api/v2/users/{}", self.id)},
                "associatedDate": clock.iso(self.associated_since),
                "providerInfo": {"name": "EDGE"},
                "webRtcCallAppearances": self.spec.line_appearances,
            })
        };
        let mut value = json!({});
        if self.associated {
            value["associatedStation"] = station();
            value["effectiveStation"] = station();
        }
        if self.default_station {
            value["defaultStation"] = station();
        }
        value["lastAssociatedStation"] = station();
        value
    }

    /// The user's stations, the first one first.
    pub fn all_stations(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.station)
            .chain(&self.spare_stations)
            .map(String::as_str)
    }

    /// One of the stations as `stations/{id}` tells.
    pub fn station_json(&self, station: &str) -> Value {
        let own = self.associated && self.current_station == station;
        let taken = self.taken_by.as_ref().filter(|_| self.station == station);
        let by = taken.or_else(|| own.then_some(&self.id));
        let mut value = json!({
            "id": station,
            "name": self.name_of(station),
            "status": if by.is_some() { "ASSOCIATED" } else { "AVAILABLE" },
            "webRtcUserId": self.id,
            "primaryEdge": {"id": "00000000-0000-4000-8000-0000000000ed", "name": "edge-1"},
            "type": "inin_webrtc_softphone",
            "lineAppearanceId": "00000000-0000-4000-8000-0000000000aa",
            "webRtcMediaDscp": 46,
            "webRtcPersistentEnabled": self.spec.persistent,
            "webRtcForceTurn": self.spec.force_turn,
            "webRtcCallAppearances": self.spec.line_appearances,
            "webRtcRequireMediaHelper": false,
            "selfUri": format!("/api/v2/stations/{station}"),
        });
        if let Some(user) = by {
            value["userId"] = Value::from(user.clone());
        }
        value
    }

    /// The name of one of the stations.
    pub fn name_of(&self, station: &str) -> String {
        match self.all_stations().position(|own| own == station) {
            Some(number @ 1..) => format!("{} WebRTC {}", self.spec.name, number + 1),
            _ => format!("{} WebRTC", self.spec.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end() {
        let mut directory = Directory::new("Acme");
        let user = directory.add(
            Duration::ZERO,
            UserSpec {
                token_seconds: 60,
                ..UserSpec::default()
            },
        );
        let at = Duration::from_secs;
        assert_eq!(
            directory.bearer(at(59), &user.token).unwrap().id,
            user.user_id
        );
        let fault = |directory: &Directory, now, token: &str| directory.bearer(now, token).err();
        assert_eq!(
            fault(&directory, at(60), &user.token),
            Some(TokenFault::Expired)
        );
        assert_eq!(fault(&directory, at(0), "no"), Some(TokenFault::Unknown));
        assert!(directory.revoke(&user.token) && !directory.revoke("no"));
        assert_eq!(
            fault(&directory, at(0), &user.token),
            Some(TokenFault::Revoked)
        );
        let second = directory.issue(at(60), &user.user_id, at(10));
        assert!(directory.bearer(at(61), &second).is_ok());
        assert!(directory.expire(at(61), &second));
        assert_eq!(
            fault(&directory, at(61), &second),
            Some(TokenFault::Expired)
        );
    }

    #[test]
    fn users_are_found_by_id_name_or_alone() {
        let mut directory = Directory::new("Acme");
        let one = directory.add(Duration::ZERO, UserSpec::named("One"));
        assert_eq!(directory.find("").unwrap().id, one.user_id);
        let two = directory.add(Duration::ZERO, UserSpec::named("Two"));
        assert!(directory.find("").is_none());
        assert_eq!(directory.find("Two").unwrap().id, two.user_id);
        assert_eq!(directory.find(&one.user_id).unwrap().spec.name, "One");
        assert_eq!(
            directory.station_owner(&two.station_id).unwrap().id,
            two.user_id
        );
    }
}
