//! Users and stations (genesys-protocol 2.2 and 2.3).

use serde_json::Value;

use super::route::{page, page_of};
use super::{Call, Reply};
use crate::world::World;

pub(super) fn me(world: &mut World, call: &Call) -> Reply {
    user(world, call, &call.user)
}

pub(super) fn user(world: &World, call: &Call, id: &str) -> Reply {
    let expand = call.query.get("expand").map_or("", String::as_str);
    let station = expand.split([',', '|']).any(|word| word == "station");
    match world.directory.user(id) {
        Some(user) => Reply::ok(user.json(station, world.clock)),
        None => Reply::not_found("user", id),
    }
}

pub(super) fn users(world: &World, call: &Call) -> Reply {
    let expand = call
        .query
        .get("expand")
        .is_some_and(|expand| expand.contains("station"));
    let users: Vec<Value> = world
        .directory
        .users()
        .map(|user| user.json(expand, world.clock))
        .collect();
    Reply::ok(page(&users, "/api/v2/users"))
}

pub(super) fn stations(world: &World, id: &str) -> Reply {
    match world.directory.user(id) {
        Some(user) => Reply::ok(user.stations(world.clock)),
        None => Reply::not_found("user", id),
    }
}

pub(super) fn station(world: &World, id: &str) -> Reply {
    match world.directory.station_owner(id) {
        Some(user) => Reply::ok(user.station_json(id)),
        None => Reply::not_found("station", id),
    }
}

pub(super) fn find_stations(world: &World, call: &Call) -> Reply {
    let wants = |key: &str, value: &str| {
        call.query
            .get(key)
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let users = world.directory.users();
    let mut stations: Vec<Value> = users
        .filter(|user| wants("webRtcUserId", &user.id))
        .flat_map(|user| user.all_stations().map(move |station| (user, station)))
        .filter(|(user, station)| wants("id", station) && wants("name", &user.name_of(station)))
        .map(|(user, station)| user.station_json(station))
        .collect();
    stations.sort_by_key(|station| station["name"].as_str().map(str::to_owned));
    Reply::ok(page_of(call, &stations, "/api/v2/stations"))
}

/// A WebRTC station serves its own user only, unless somebody else has it.
pub(super) fn associate(world: &mut World, user: &str, station: &str) -> Reply {
    match world.directory.station_owner(station) {
        None => Reply::not_found("station", station),
        Some(owner) if owner.id != user => Reply::error(
            409,
            "station.already.assigned",
            format!("The station {station} belongs to another user"),
        ),
        Some(owner) if owner.taken_by.is_some() && owner.station == station => Reply::error(
            409,
            "station.already.assigned",
            format!("The station {station} is associated with another user"),
        ),
        Some(_) => {
            if let Some(found) = world.directory.user_mut(user) {
                // Another station than before is news even if there was one.
                found.associated &= found.current_station == station;
                station.clone_into(&mut found.current_station);
            }
            change(world, user, true)
        }
    }
}

pub(super) fn disassociate(world: &mut World, user: &str) -> Reply {
    change(world, user, false)
}

pub(super) fn free_station(world: &mut World, station: &str) -> Reply {
    match world
        .directory
        .station_owner(station)
        .map(|owner| owner.id.clone())
    {
        None => Reply::not_found("station", station),
        Some(owner) => {
            if let Some(found) = world.directory.user_mut(&owner)
                && found.station == station
                && found.taken_by.take().is_some()
            {
                return Reply::accepted();
            }
            change(world, &owner, false)
        }
    }
}

pub(super) fn default_station(world: &mut World, user: &str, station: Option<&str>) -> Reply {
    let Some(found) = world.directory.user_mut(user) else {
        return Reply::not_found("user", user);
    };
    match station {
        Some(station) if found.station != station => Reply::not_found("station", station),
        _ => {
            found.default_station = station.is_some();
            Reply::accepted()
        }
    }
}

fn change(world: &mut World, user: &str, associated: bool) -> Reply {
    let now = world.now;
    let Some(found) = world.directory.user_mut(user) else {
        return Reply::not_found("user", user);
    };
    if found.associated != associated {
        found.associated = associated;
        found.associated_since = now;
        world.publish_station(
            user,
            if associated {
                "Associated"
            } else {
                "Disassociated"
            },
        );
    }
    Reply::accepted()
}
