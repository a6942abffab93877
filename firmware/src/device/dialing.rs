//! Speed dials and dial-plan prefixes of the configuration: what a phone's keys can say of a call's parameters.

use super::Private;
use crate::genesys::rest::StartSoftphoneSessionParams;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Speed dials at most: more than anybody scrolls through.
const MAX_ENTRIES: usize = 100;
/// Longest label, characters: a line of the display.
const MAX_LABEL: usize = 24;
/// Longest prefix, keys.
const MAX_PREFIX: usize = 8;

/// `[[speed_dial]]`: a label, perhaps a key, and any parameters of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct SpeedDial {
    /// The digit, 2..=9, that calls it when it is held down on the hook; without one it is only in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u8>,
    /// What the display and the page call it.
    pub label: Private,
    /// Whom to call and how; the seed's names.
    #[serde(flatten)]
    pub call: StartSoftphoneSessionParams,
}

/// `[[prefix]]`: digits at the start of a number, and the parameters they add to the call. With a target among the
/// parameters the digits are a whole number of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct Prefix {
    /// `0-9*#`.
    pub digits: String,
    /// How to call; the seed's names.
    #[serde(flatten)]
    pub call: StartSoftphoneSessionParams,
}

impl Prefix {
    /// Whether the digits are a whole number: they say whom to call.
    pub fn is_complete(&self) -> bool {
        has_target(&self.call)
    }
}

/// What is wrong with one of them, in the installer's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DialingError(String);

impl TryFrom<toml::Table> for SpeedDial {
    type Error = DialingError;

    fn try_from(mut table: toml::Table) -> Result<Self, DialingError> {
        let key = match table.remove("key") {
            None => None,
            Some(toml::Value::Integer(key @ 2..=9)) => Some(key as u8),
            Some(other) => {
                return Err(DialingError(format!(
                    "speed_dial: key = {other}: must be a digit key, 2 to 9, or left out"
                )));
            }
        };
        let label = match table.remove("label") {
            Some(toml::Value::String(label)) => label.trim().to_owned(),
            _ => String::new(),
        };
        if label.is_empty() || label.chars().count() > MAX_LABEL {
            return Err(DialingError(format!(
                "speed_dial: label must be a text of 1 to {MAX_LABEL} letters"
            )));
        }
        let call = parameters("speed_dial", table)?;
        check("speed_dial", &call)?;
        Ok(Self {
            key,
            label: label.into(),
            call,
        })
    }
}

impl TryFrom<toml::Table> for Prefix {
    type Error = DialingError;

    fn try_from(mut table: toml::Table) -> Result<Self, DialingError> {
        let digits = match table.remove("digits") {
            Some(toml::Value::String(digits)) => digits,
            _ => String::new(),
        };
        let is_dialable = (1..=MAX_PREFIX).contains(&digits.len())
            && digits
                .bytes()
                .all(|key| key.is_ascii_digit() || key == b'*' || key == b'#');
        if !is_dialable {
            return Err(DialingError(format!(
                "prefix: digits = {digits:?}: must be 1 to {MAX_PREFIX} keys of 0-9 * #"
            )));
        }
        let call = parameters("prefix", table)?;
        if call == StartSoftphoneSessionParams::default() {
            return Err(DialingError(format!(
                "prefix {digits}: says nothing about the call; give callFromQueueId, callerId or another parameter"
            )));
        }
        let mut whole = call.clone();
        if !has_target(&call) {
            whole.phone_number = Some("1".into());
        }
        check(&format!("prefix {digits}"), &whole)?;
        Ok(Self { digits, call })
    }
}

fn has_target(call: &StartSoftphoneSessionParams) -> bool {
    call.phone_number.is_some()
        || call.call_user_id.is_some()
        || call.call_queue_id.is_some()
        || call.participants.is_some()
}

fn parameters(what: &str, table: toml::Table) -> Result<StartSoftphoneSessionParams, DialingError> {
    let call: StartSoftphoneSessionParams = table
        .try_into()
        .map_err(|error: toml::de::Error| DialingError(format!("{what}: {}", error.message())))?;
    if call.conversation_ids.is_some() {
        return Err(DialingError(format!(
            "{what}: conversationIds are calls of the moment and cannot be configured"
        )));
    }
    Ok(call)
}

fn check(what: &str, call: &StartSoftphoneSessionParams) -> Result<(), DialingError> {
    crate::softphone::validate_start(call)
        .map_err(|error| DialingError(format!("{what}: {}", error.message)))
}

/// What several of them together get wrong: the key of the configuration, its value and what is allowed.
pub(super) fn conflict(
    speed_dials: &[SpeedDial],
    prefixes: &[Prefix],
) -> Option<(&'static str, String, String)> {
    if speed_dials.len() > MAX_ENTRIES {
        let allowed = format!("at most {MAX_ENTRIES} speed dials");
        return Some(("speed_dial", speed_dials.len().to_string(), allowed));
    }
    let mut keys = HashSet::new();
    for key in speed_dials.iter().filter_map(|dial| dial.key) {
        if !keys.insert(key) {
            let allowed = "each key can call only one speed dial".to_owned();
            return Some(("speed_dial.key", key.to_string(), allowed));
        }
    }
    let mut digits = HashSet::new();
    for prefix in prefixes {
        if !digits.insert(prefix.digits.as_str()) {
            let allowed = "each prefix can be there only once".to_owned();
            return Some(("prefix.digits", prefix.digits.clone(), allowed));
        }
    }
    None
}
