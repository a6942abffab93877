//! Transfers, consultations, conferences, recording and wrap-up (genesys-protocol 2.6).

use serde_json::{Value, json};

use super::calls::{dialed, done};
use super::route::{bad_body, object};
use super::{Call, Reply};
use crate::engine::{Guest, Party, Purpose, RecordingState, SpeakTo};
use crate::gateway::FarEndSource;
use crate::spec::Form;
use crate::world::World;

/// Codes every queue has.
const WRAPUP_CODES: [(&str, &str); 2] = [
    ("00000000-0000-4000-8000-0000000000c1", "Done"),
    ("00000000-0000-4000-8000-0000000000c2", "Call back"),
];

/// What a body may name, and where it comes from.
#[derive(Clone, Copy)]
enum Name {
    Address,
    User,
    Called,
    Queue,
}

const ANYBODY: &[(&str, Name)] = &[
    ("address", Name::Address),
    ("userId", Name::User),
    ("userName", Name::Called),
    ("queueId", Name::Queue),
];
const AGENT: &[(&str, Name)] = &[
    ("userId", Name::User),
    ("userName", Name::Called),
    ("userDisplayName", Name::Called),
];
const QUEUE: &[(&str, Name)] = &[("queueId", Name::Queue), ("queueName", Name::Queue)];
const ADDRESS: &[(&str, Name)] = &[("address", Name::Address)];

/// Whom each form of a request may name, by the last words of its path.
fn names(kind: &str) -> &'static [(&'static str, Name)] {
    match kind {
        "agent" => AGENT,
        "queue" => QUEUE,
        "address" => ADDRESS,
        _ => ANYBODY,
    }
}

/// The guest that a body names by exactly one of these fields.
fn guest(world: &mut World, call: &Call, body: &Value, kind: &str) -> Result<Guest, Reply> {
    let named: Vec<(&str, Name, String)> = names(kind)
        .iter()
        .filter_map(|(field, name)| Some((*field, *name, body[*field].as_str()?.to_owned())))
        .collect();
    let [(_, name, value)] = &named[..] else {
        let fields: Vec<&str> = names(kind).iter().map(|(field, _)| *field).collect();
        let why = format!("exactly one of {} is needed", fields.join(", "));
        return Err(bad_body(world, call, &why));
    };
    match name {
        Name::Address => match dialed(value) {
            Some(address) => Ok(outside(world, &address, Purpose::External, None)),
            None => Err(Reply::error(
                400,
                "invalid.phone.number",
                format!("The address {value:?} is not valid"),
            )),
        },
        Name::Queue => {
            let queue = Some(value.clone());
            Ok(outside(world, value, Purpose::Agent, queue))
        }
        Name::User | Name::Called => {
            let found = world.directory.find(value).map(|user| user.id.clone());
            let facts = found.and_then(|id| world.facts(&id));
            let Some(facts) = facts.filter(|_| !value.is_empty()) else {
                return Err(Reply::not_found("user", value));
            };
            if !facts.station {
                let message = format!("The user {value} has no station");
                return Err(Reply::error(400, "bad.request", message));
            }
            let leg = Box::new(world.options.default_leg.clone());
            Ok(Guest::User(Box::new(facts), Form::SdpOverXmpp, leg))
        }
    }
}

/// Somebody outside, as the address book knows them.
fn outside(world: &World, address: &str, purpose: Purpose, queue: Option<String>) -> Guest {
    let known = world.contact(address);
    let fallback = tone_of(address.bytes().map(usize::from).sum());
    Guest::Outside {
        party: Party {
            name: known.map_or_else(
                || world.outbound.far_end_name.clone(),
                |one| one.name.clone(),
            ),
            address: address.to_owned(),
        },
        purpose,
        queue,
        voice: known.map_or(fallback, |one| one.far_end.clone()),
        answer_after: known.map_or(world.outbound.answer_after, |one| one.answer_after),
    }
}

/// `replace`, `replace/agent`, `replace/queue`, `transfer`.
pub(super) fn replace(
    world: &mut World,
    call: &Call,
    id: &str,
    participant: &str,
    kind: &str,
) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    if body["voicemail"] == true {
        return done(world.engine.to_voicemail(world.now, id, participant));
    }
    let transfer_type = &body["transferType"];
    if !transfer_type.is_null() && transfer_type != "Attended" && transfer_type != "Unattended" {
        return bad_body(world, call, "transferType is Attended or Unattended");
    }
    match guest(world, call, &body, kind) {
        Ok(guest) => done(
            world
                .engine
                .transfer(world.now, id, participant, guest)
                .map(drop),
        ),
        Err(reply) => reply,
    }
}

fn speak_to(world: &mut World, call: &Call, body: &Value, needed: bool) -> Result<SpeakTo, Reply> {
    match &body["speakTo"] {
        Value::Null if !needed => Ok(SpeakTo::default()),
        value => serde_json::from_value(value.clone()).map_err(|_| {
            let why = "speakTo is DESTINATION, OBJECT, BOTH or CONFERENCE";
            bad_body(world, call, why)
        }),
    }
}

/// POST `consult`, `consult/agent`, `consult/queue`, `voice/consult`.
pub(super) fn consult(
    world: &mut World,
    call: &Call,
    id: &str,
    participant: &str,
    kind: &str,
) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let speak_to = match speak_to(world, call, &body, kind != "generic") {
        Ok(speak_to) => speak_to,
        Err(reply) => return reply,
    };
    let user = body["consultingUserId"].as_str().unwrap_or(&call.user);
    let user = user.to_owned();
    let whom = if kind == "generic" {
        &body["destination"]
    } else {
        &body
    };
    let guest = match guest(world, call, whom, kind) {
        Ok(guest) => guest,
        Err(reply) => return reply,
    };
    let asked = world
        .engine
        .consult(world.now, id, &user, participant, guest, speak_to);
    match asked {
        Ok(destination) => Reply {
            status: 202,
            ..Reply::ok(json!({"destinationParticipantId": destination}))
        },
        Err(error) => done(Err(error)),
    }
}

pub(super) fn change_consult(world: &mut World, call: &Call, id: &str, object_id: &str) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    match speak_to(world, call, &body, true) {
        Ok(speak_to) => done(world.engine.speak_to(world.now, id, object_id, speak_to)),
        Err(reply) => reply,
    }
}

pub(super) fn cancel_consult(world: &mut World, id: &str, participant: &str) -> Reply {
    done(world.engine.cancel_consult(world.now, id, participant))
}

/// `POST .../participants`, and the participants of a new call.
pub(super) fn add(world: &mut World, call: &Call, id: &str) -> Reply {
    match object(world, call) {
        Ok(body) => match guests(world, call, &body) {
            Ok(guests) => bring(world, call, id, guests),
            Err(reply) => reply,
        },
        Err(reply) => reply,
    }
}

/// The guests of `participants`.
pub(super) fn guests(world: &mut World, call: &Call, body: &Value) -> Result<Vec<Guest>, Reply> {
    let wanted = body["participants"].as_array().cloned().unwrap_or_default();
    if wanted.is_empty() {
        return Err(bad_body(world, call, "participants must name somebody"));
    }
    wanted
        .iter()
        .map(|one| guest(world, call, one, "participant"))
        .collect()
}

/// Brings guests into a call, on behalf of its user.
pub(super) fn bring(world: &mut World, call: &Call, id: &str, guests: Vec<Guest>) -> Reply {
    let caller = Party {
        name: world
            .directory
            .user(&call.user)
            .map(|user| user.spec.name.clone())
            .unwrap_or_default(),
        address: format!("sip:{}@localhost", call.user),
    };
    for guest in guests {
        if let Err(error) = world.engine.invite(world.now, id, guest, &caller) {
            return done(Err(error));
        }
    }
    Reply::accepted()
}

/// `PATCH .../conference`, and `conversationIds` elsewhere.
pub(super) fn merge(world: &mut World, call: &Call, id: &str, body: &Value) -> Reply {
    let ids = body["conversationIds"].as_array().map(|ids| {
        let texts = ids.iter().map(|id| id.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    });
    match ids {
        Some(Some(others)) if !others.is_empty() => {
            done(world.engine.merge(world.now, id, &call.user, &others))
        }
        _ => bad_body(world, call, "conversationIds must name other calls"),
    }
}

pub(super) fn recording_state(world: &mut World, call: &Call, id: &str) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let wanted = serde_json::from_value::<RecordingState>(body["recordingState"].clone());
    match wanted {
        Ok(state) => done(world.engine.set_recording(world.now, id, state)),
        Err(_) => bad_body(world, call, "recordingState is NONE, ACTIVE or PAUSED"),
    }
}

pub(super) fn wrapup_codes(world: &World, id: &str, participant: &str) -> Reply {
    let found = world
        .engine
        .conversation(id)
        .and_then(|conversation| conversation.participant(participant));
    if found.is_none() {
        return Reply::not_found("participant", participant);
    }
    let codes: Vec<Value> = WRAPUP_CODES
        .iter()
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    Reply::ok(Value::from(codes))
}

/// `POST .../participants/{P}/communications/{K}/wrapup`.
pub(super) fn wrapup(world: &mut World, call: &Call, id: &str, communication: &str) -> Reply {
    let body = match object(world, call) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    match read_wrapup(&body) {
        Ok(wrapup) => done(world.engine.wrap_up(world.now, id, communication, wrapup)),
        Err(why) => bad_body(world, call, &why),
    }
}

/// Code and notes of a wrap-up body.
pub(super) fn read_wrapup(body: &Value) -> Result<(String, String), String> {
    let code = body["code"].as_str().unwrap_or_default();
    if !WRAPUP_CODES.iter().any(|(id, _)| *id == code) {
        return Err(format!("{code:?} is none of the queue's wrap-up codes"));
    }
    let notes = body["notes"].as_str().unwrap_or_default();
    Ok((code.to_owned(), notes.to_owned()))
}

/// A tone for a party nobody has described.
fn tone_of(number: usize) -> FarEndSource {
    FarEndSource::Tone {
        hz: 520.0 + 70.0 * (number % 10) as f32,
        dbfs: -20.0,
    }
}
