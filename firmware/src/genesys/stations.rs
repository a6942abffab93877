//! Finding the user's station and associating with it (genesys-protocol 2.3, 7.2): calls ring only there.

use super::id::{StationId, UserId};
use super::model::{Station, StationRef, User};
use super::rest::RestError;
use super::rest::client::Rest;
use crate::device::Private;
use std::fmt;

/// The configuration's wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StationWish {
    /// The effective station; without one the user's WebRTC station.
    #[default]
    Auto,
    /// Whatever the user has; nothing is associated.
    None,
    /// The one of this name or id.
    Named(Private),
}

impl StationWish {
    /// `auto`, `none`, or a station's name or id.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "" | "auto" => Self::Auto,
            "none" => Self::None,
            other => Self::Named(Private::new(other)),
        }
    }
}

/// A station to choose. `Debug` hides its name: it usually contains a person's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StationSummary {
    /// Id.
    pub id: StationId,
    /// Name, for the display.
    pub name: String,
    /// Somebody else has it.
    pub taken: bool,
}

impl fmt::Debug for StationSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StationSummary")
            .field("id", &self.id)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// Why calls will not ring here, in an administrator's words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StationTrouble {
    /// Nobody has logged in.
    #[error("nobody is logged in: log in first")]
    NoUser,
    /// The user has no WebRTC station.
    #[error(
        "this user has no WebRTC phone: an administrator must create one for the user (Admin, Telephony, Phone \
         Management; base settings of type WebRTC phone)"
    )]
    Missing,
    /// The configured one is not among the user's.
    #[error(
        "this user has no WebRTC phone of the name or id in cloud.station: correct it, or write \"auto\""
    )]
    Unknown,
    /// Somebody else has it.
    #[error("station {} is taken by somebody else: free it there, or choose another one", station.id)]
    Taken {
        /// Which.
        station: StationSummary,
    },
    /// It was ours and somebody ended that. The phone does not fight for it.
    #[error("station {} was taken away from this phone: take it again if calls shall ring here", station.id)]
    TakenAway {
        /// Which.
        station: StationSummary,
    },
    /// The stations cannot be read or associated.
    #[error(transparent)]
    Rest(#[from] RestError),
}

/// Whether the phone has to look for a station: there is none, or another one than the configured.
///
/// A station of another type, a physical phone, is never replaced.
pub(super) fn must_search(wish: &StationWish, user: &User) -> bool {
    let effective = user
        .station
        .as_ref()
        .and_then(|stations| stations.effective_station.as_ref());
    match (wish, effective) {
        (StationWish::None, _) | (StationWish::Auto, Some(_)) => false,
        (_, None) => true,
        (StationWish::Named(wanted), Some(station)) => {
            station.is_webrtc_or_unknown()
                && !is_called(wanted, &station.id, station.name.as_deref())
        }
    }
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Associated(StationSummary),
    /// Several fit: a person must choose.
    Choice(Vec<StationSummary>),
}

/// Looks for the user's station and associates with it.
pub(super) async fn find(
    rest: &Rest,
    user: &UserId,
    wish: &StationWish,
    last: Option<StationId>,
) -> Result<Found, StationTrouble> {
    let stations = rest.stations_of(user).await?;
    match choose(stations, user, wish, last.as_ref())? {
        Choice::One(station) => {
            associate(rest, &station).await?;
            Ok(Found::Associated(station))
        }
        Choice::Several(stations) => Ok(Found::Choice(stations)),
    }
}

/// Associates the user with `station`.
pub(super) async fn associate(rest: &Rest, station: &StationSummary) -> Result<(), StationTrouble> {
    match rest.associate(&station.id).await {
        Ok(()) => Ok(()),
        Err(RestError::Status { status: 409, .. }) => Err(StationTrouble::Taken {
            station: StationSummary {
                taken: true,
                ..station.clone()
            },
        }),
        Err(error) => Err(StationTrouble::Rest(error)),
    }
}

/// All WebRTC stations among `stations`, by name.
pub(super) fn summaries(stations: Vec<Station>, user: &UserId) -> Vec<StationSummary> {
    let mut webrtc: Vec<StationSummary> = stations
        .into_iter()
        .filter(Station::is_webrtc)
        .map(|station| StationSummary {
            taken: station
                .user_id
                .as_ref()
                .is_some_and(|holder| holder != user),
            id: station.id,
            name: station.name,
        })
        .collect();
    webrtc.sort_by(|a, b| (a.name.to_lowercase(), &a.id).cmp(&(b.name.to_lowercase(), &b.id)));
    webrtc.dedup_by(|a, b| a.id == b.id);
    webrtc
}

/// The stations among which a search would choose: one is taken, several are asked about.
pub(super) fn preview(
    stations: Vec<Station>,
    user: &UserId,
    wish: &StationWish,
) -> Result<Vec<StationSummary>, StationTrouble> {
    choose(stations, user, wish, None).map(|choice| match choice {
        Choice::One(station) => vec![station],
        Choice::Several(stations) => stations,
    })
}

enum Choice {
    One(StationSummary),
    Several(Vec<StationSummary>),
}

fn choose(
    stations: Vec<Station>,
    user: &UserId,
    wish: &StationWish,
    last: Option<&StationId>,
) -> Result<Choice, StationTrouble> {
    let mut fit = summaries(stations, user);
    if fit.is_empty() {
        return Err(StationTrouble::Missing);
    }
    if let StationWish::Named(wanted) = wish {
        fit.retain(|station| is_called(wanted, &station.id, Some(&station.name)));
        if fit.is_empty() {
            return Err(StationTrouble::Unknown);
        }
    }
    let free: Vec<StationSummary> = fit
        .iter()
        .filter(|station| !station.taken)
        .cloned()
        .collect();
    if free.is_empty() {
        return Err(StationTrouble::Taken {
            station: fit.swap_remove(0),
        });
    }
    let last = free.iter().find(|station| Some(&station.id) == last);
    Ok(match (last, free.as_slice()) {
        (Some(one), _) | (None, [one]) => Choice::One(one.clone()),
        _ => Choice::Several(free),
    })
}

fn is_called(wanted: &Private, id: &StationId, name: Option<&str>) -> bool {
    let wanted = wanted.expose();
    id.as_str() == wanted || name.is_some_and(|name| name.to_lowercase() == wanted.to_lowercase())
}

impl StationRef {
    fn is_webrtc_or_unknown(&self) -> bool {
        self.r#type
            .as_deref()
            .is_none_or(|kind| kind == Station::WEBRTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesys::model::UserStations;

    fn station(id: &str, kind: &str, holder: Option<&str>) -> Station {
        Station {
            id: id.into(),
            name: format!("Name of {id}"),
            r#type: Some(kind.to_owned()),
            user_id: holder.map(UserId::from),
            ..Station::default()
        }
    }

    fn mine(id: &str) -> Station {
        station(id, "inin_webrtc_softphone", None)
    }

    /// `one ID`, `several ID ID`, or the start of the trouble's text.
    #[track_caller]
    fn check(stations: Vec<Station>, wish: &str, last: Option<&str>, expected: &str) {
        let last = last.map(StationId::from);
        let user = UserId::from("U");
        let found = match choose(stations, &user, &StationWish::parse(wish), last.as_ref()) {
            Ok(Choice::One(station)) => format!("one {}", station.id),
            Ok(Choice::Several(all)) => {
                let ids: Vec<&str> = all.iter().map(|station| station.id.as_str()).collect();
                format!("several {}", ids.join(" "))
            }
            Err(trouble) => trouble.to_string(),
        };
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn which_station_is_taken() {
        let taken = |id| station(id, "inin_webrtc_softphone", Some("OTHER"));
        let held = |id| station(id, "inin_webrtc_softphone", Some("U"));
        let remote = |id| station(id, "inin_remote", None);
        check(vec![mine("A")], "auto", None, "one A");
        check(vec![mine("A"), remote("R")], "auto", None, "one A");
        check(vec![mine("B"), mine("A")], "auto", None, "several A B");
        check(vec![mine("A"), mine("B")], "auto", Some("B"), "one B");
        check(
            vec![mine("A"), mine("B")],
            "auto",
            Some("GONE"),
            "several A B",
        );
        check(vec![mine("A"), taken("B")], "auto", Some("B"), "one A");
        check(vec![held("A")], "auto", None, "one A");
        check(vec![mine("A"), mine("A")], "auto", None, "one A");
        check(vec![], "auto", None, "this user has no WebRTC phone:");
        check(
            vec![remote("R")],
            "auto",
            None,
            "this user has no WebRTC phone:",
        );
        check(vec![taken("A")], "auto", None, "station A is taken");
        check(vec![mine("A"), mine("B")], "B", None, "one B");
        check(vec![mine("A"), mine("B")], "name OF b", Some("A"), "one B");
        check(
            vec![mine("A")],
            "X",
            None,
            "this user has no WebRTC phone of the name",
        );
        check(vec![mine("A"), taken("B")], "B", None, "station B is taken");
    }

    #[test]
    fn when_a_station_is_looked_for() {
        let user = |effective: Option<(&str, Option<&str>)>| User {
            station: Some(UserStations {
                effective_station: effective.map(|(id, kind)| StationRef {
                    id: id.into(),
                    name: Some(format!("Name of {id}")),
                    r#type: kind.map(str::to_owned),
                }),
                ..UserStations::default()
            }),
            ..User::default()
        };
        let webrtc = Some("inin_webrtc_softphone");
        for (wish, effective, expected) in [
            ("auto", None, true),
            ("auto", Some(("A", webrtc)), false),
            ("auto", Some(("A", Some("inin_phone"))), false),
            ("none", None, false),
            ("none", Some(("A", webrtc)), false),
            ("B", None, true),
            ("B", Some(("A", webrtc)), true),
            ("B", Some(("A", None)), true),
            ("B", Some(("B", webrtc)), false),
            ("Name of B", Some(("B", webrtc)), false),
            // A desk phone is not left for the configuration's sake.
            ("B", Some(("A", Some("inin_phone"))), false),
        ] {
            let searched = must_search(&StationWish::parse(wish), &user(effective));
            assert_eq!(searched, expected, "{wish} {effective:?}");
        }
        assert!(must_search(&StationWish::Auto, &User::default()));
    }

    #[test]
    fn names_stay_out_of_logs() {
        let station = StationSummary {
            id: "ST".into(),
            name: "Agent Smith".to_owned(),
            taken: true,
        };
        let trouble = StationTrouble::Taken { station };
        assert!(!format!("{trouble} {trouble:?}").contains("Smith"));
        assert!(!format!("{:?}", StationWish::parse("Smith")).contains("Smith"));
    }
}
