//! Checks the parameters of a call before they are sent (genesys-protocol 2.4, 6.14 `invalid_options`).
//!
//! The cloud would refuse most of these too, but after a round trip and with a message no user can act on.

use super::SdkError;
use crate::device::Private;
use crate::genesys::rest::{SoftphoneDestination, StartSoftphoneSessionParams, TransferTarget};

/// Longest number or address; SIP stacks cut longer ones.
const MAX_ADDRESS: usize = 255;
/// Longest name or user-to-user data.
const MAX_TEXT: usize = 2048;
/// Longest string of digits of one DTMF command.
pub(super) const MAX_DIGITS: usize = 64;

/// Refuses parameters that cannot make a call.
///
/// # Errors
/// `invalid_options`, with the field's API name in `details.field`.
pub(crate) fn validate(params: &StartSoftphoneSessionParams) -> Result<(), SdkError> {
    one_target(params)?;
    queue_only(params)?;
    if let Some(number) = &params.phone_number {
        address("phoneNumber", number)?;
    }
    if let Some(number) = &params.caller_id {
        address("callerId", number)?;
    }
    text("callerIdName", params.caller_id_name.as_ref())?;
    text("uuiData", params.uui_data.as_ref())?;
    for (field, value) in [
        ("callFromQueueId", &params.call_from_queue_id),
        ("callQueueId", &params.call_queue_id),
        ("callUserId", &params.call_user_id),
        ("languageId", &params.language_id),
    ] {
        if let Some(value) = value {
            id(field, value)?;
        }
    }
    for skill in params.routing_skills_ids.iter().flatten() {
        id("routingSkillsIds", skill)?;
    }
    for conversation in params.conversation_ids.iter().flatten() {
        id("conversationIds", conversation.as_str())?;
    }
    destinations(params.participants.as_deref().unwrap_or_default())
}

/// Refuses parties that cannot be called.
///
/// # Errors
/// `invalid_options`.
pub(super) fn destinations(parties: &[SoftphoneDestination]) -> Result<(), SdkError> {
    for party in parties {
        address("participants.address", &party.address)?;
        text("participants.name", party.name.as_ref())?;
        for (field, value) in [
            ("participants.userId", &party.user_id),
            ("participants.queueId", &party.queue_id),
        ] {
            if let Some(value) = value {
                id(field, value)?;
            }
        }
    }
    Ok(())
}

/// Refuses a target nobody can be transferred to.
///
/// # Errors
/// `invalid_options`.
pub(super) fn target(to: &TransferTarget) -> Result<(), SdkError> {
    match to {
        TransferTarget::Address(to) => address("to.address", to),
        TransferTarget::User(user) => id("to.userId", user),
        TransferTarget::Queue(queue) => id("to.queueId", queue),
        TransferTarget::Voicemail(user) => id("to.voicemailUserId", user),
    }
}

/// Refuses digits that no key of a phone makes.
///
/// # Errors
/// `invalid_options`.
pub(super) fn validate_digits(digits: &Private) -> Result<(), SdkError> {
    let digits = digits.expose();
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(SdkError::invalid(
            "digits",
            format!("give between 1 and {MAX_DIGITS} digits"),
        ));
    }
    if digits.chars().any(|c| !matches!(c, '0'..='9' | '*' | '#')) {
        return Err(SdkError::invalid(
            "digits",
            "only the digits 0 to 9, * and # can be sent",
        ));
    }
    Ok(())
}

/// Exactly one kind of target.
fn one_target(params: &StartSoftphoneSessionParams) -> Result<(), SdkError> {
    let targets: Vec<&str> = [
        ("phoneNumber", params.phone_number.is_some()),
        ("callQueueId", params.call_queue_id.is_some()),
        ("callUserId", params.call_user_id.is_some()),
        (
            "participants",
            params.participants.as_ref().is_some_and(|p| !p.is_empty()),
        ),
        (
            "conversationIds",
            params
                .conversation_ids
                .as_ref()
                .is_some_and(|c| !c.is_empty()),
        ),
    ]
    .into_iter()
    .filter_map(|(name, given)| given.then_some(name))
    .collect();
    match targets.as_slice() {
        [_] => Ok(()),
        [] => Err(SdkError::invalid(
            "phoneNumber",
            "there is nothing to call: give phoneNumber, callQueueId, callUserId, participants or conversationIds",
        )),
        several => Err(SdkError::invalid(
            several[1],
            format!(
                "{} exclude each other: give one of them",
                several.join(" and ")
            ),
        )),
    }
}

/// What only makes sense when a queue is called (2.4).
fn queue_only(params: &StartSoftphoneSessionParams) -> Result<(), SdkError> {
    if params.call_queue_id.is_some() {
        return Ok(());
    }
    let given = [
        ("priority", params.priority.is_some()),
        ("languageId", params.language_id.is_some()),
        ("routingSkillsIds", params.routing_skills_ids.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((field, _)) => Err(SdkError::invalid(
            field,
            format!("{field} is only for calling a queue: give callQueueId, or leave {field} out"),
        )),
    }
}

/// A telephone number with the usual separators, or a `tel:`, `sip:` or `user@domain` address.
pub(super) fn address(field: &str, value: &Private) -> Result<(), SdkError> {
    let value = value.expose().trim();
    if value.is_empty() {
        return Err(SdkError::invalid(field, format!("{field} is empty")));
    }
    if value.len() > MAX_ADDRESS {
        return Err(SdkError::invalid(
            field,
            format!("{field} is longer than {MAX_ADDRESS} characters"),
        ));
    }
    if value.contains('@') || value.contains(':') {
        return uri(field, value);
    }
    let plus = value.rfind('+').is_none_or(|at| at == 0);
    let characters = value.chars().all(|c| {
        matches!(
            c,
            '0'..='9' | '*' | '#' | '+' | ' ' | '-' | '.' | '(' | ')' | '/'
        )
    });
    let dialable = value.chars().any(|c| matches!(c, '0'..='9' | '*' | '#'));
    if plus && characters && dialable {
        Ok(())
    } else {
        Err(SdkError::invalid(
            field,
            format!(
                "{field} is not a number that can be dialed: use digits, *, # and one leading +"
            ),
        ))
    }
}

/// An address as SIP writes it.
fn uri(field: &str, value: &str) -> Result<(), SdkError> {
    let rest = match value.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('@') => {
            let known = ["sip", "sips", "tel"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme));
            if !known {
                return Err(SdkError::invalid(
                    field,
                    format!("{field} has an unknown kind of address: use sip:, sips: or tel:"),
                ));
            }
            rest
        }
        _ => value,
    };
    let good = !rest.is_empty()
        && !rest.starts_with('@')
        && !rest.ends_with('@')
        && rest
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\\'));
    if good {
        Ok(())
    } else {
        Err(SdkError::invalid(
            field,
            format!(
                "{field} is not an address that can be dialed: use user@domain without spaces or brackets"
            ),
        ))
    }
}

/// An identifier of the cloud.
pub(super) fn id(field: &str, value: &str) -> Result<(), SdkError> {
    let good = !value.is_empty()
        && value.len() <= 128
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if good {
        Ok(())
    } else {
        Err(SdkError::invalid(
            field,
            format!("{field} is not an id: ids hold only letters, digits, - and _"),
        ))
    }
}

/// Text for people.
pub(super) fn text(field: &str, value: Option<&Private>) -> Result<(), SdkError> {
    match value.map(Private::expose) {
        Some(value) if value.len() > MAX_TEXT || value.chars().any(char::is_control) => {
            Err(SdkError::invalid(
                field,
                format!("{field} may hold up to {MAX_TEXT} characters and no control characters"),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softphone::SdkErrorType;

    /// `body` is the API's JSON; `field` the one that is blamed, or `None` when it is fine.
    fn check(body: &str, field: Option<&str>) {
        let params: StartSoftphoneSessionParams = serde_json::from_str(body).unwrap();
        let blamed = validate(&params).err().map(|error| {
            assert_eq!(error.kind, SdkErrorType::InvalidOptions);
            error.details.0["field"].as_str().unwrap().to_owned()
        });
        assert_eq!(blamed.as_deref(), field, "{body}");
    }

    #[test]
    fn parameters_of_a_call() {
        for (body, field) in [
            (r#"{"phoneNumber":"+13175550100"}"#, None),
            (r#"{"phoneNumber":"+1 (317) 555-0100"}"#, None),
            (r#"{"phoneNumber":"*97#"}"#, None),
            (r#"{"phoneNumber":"sip:agent@example.test"}"#, None),
            (r#"{"phoneNumber":"agent@example.test:5061"}"#, None),
            (r#"{"phoneNumber":"tel:+13175550100"}"#, None),
            (
                r#"{"phoneNumber":"1001","callerId":"+13175550199","callerIdName":"Sales"}"#,
                None,
            ),
            (
                r#"{"callQueueId":"Q1","priority":3,"languageId":"L","routingSkillsIds":["S1","S2"]}"#,
                None,
            ),
            (r#"{"callUserId":"0fee52e6-69cd"}"#, None),
            (
                r#"{"participants":[{"address":"1001"},{"address":"1002","name":"B"}]}"#,
                None,
            ),
            (r#"{"conversationIds":["C1","C2"]}"#, None),
            (r#"{"phoneNumber":"1001","callFromQueueId":"Q"}"#, None),
            ("{}", Some("phoneNumber")),
            (r#"{"participants":[]}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":""}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"   "}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"+"}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"12+34"}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"hello"}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"123\u0000"}"#, Some("phoneNumber")),
            (
                r#"{"phoneNumber":"javascript:alert(1)"}"#,
                Some("phoneNumber"),
            ),
            (r#"{"phoneNumber":"sip:"}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"a b@example.test"}"#, Some("phoneNumber")),
            (r#"{"phoneNumber":"@example.test"}"#, Some("phoneNumber")),
            (
                r#"{"phoneNumber":"1001","callUserId":"U"}"#,
                Some("callUserId"),
            ),
            (
                r#"{"phoneNumber":"1001","conversationIds":["C"]}"#,
                Some("conversationIds"),
            ),
            (r#"{"phoneNumber":"1001","priority":1}"#, Some("priority")),
            (r#"{"callUserId":"U","languageId":"L"}"#, Some("languageId")),
            (
                r#"{"phoneNumber":"1","routingSkillsIds":["S"]}"#,
                Some("routingSkillsIds"),
            ),
            (r#"{"callQueueId":"Q/../x"}"#, Some("callQueueId")),
            (r#"{"callQueueId":""}"#, Some("callQueueId")),
            (
                r#"{"callQueueId":"Q","routingSkillsIds":["a b"]}"#,
                Some("routingSkillsIds"),
            ),
            (
                r#"{"participants":[{"address":"?"}]}"#,
                Some("participants.address"),
            ),
            (r#"{"phoneNumber":"1","callerId":"x"}"#, Some("callerId")),
            (
                r#"{"phoneNumber":"1","callerIdName":"a\nb"}"#,
                Some("callerIdName"),
            ),
        ] {
            check(body, field);
        }
        let long = format!(r#"{{"phoneNumber":"{}"}}"#, "1".repeat(256));
        check(&long, Some("phoneNumber"));
    }

    #[test]
    fn digits_a_key_can_make() {
        for (digits, good) in [
            ("1", true),
            ("0123456789*#", true),
            ("", false),
            ("12a", false),
            ("1,2", false),
            ("١", false),
        ] {
            assert_eq!(validate_digits(&digits.into()).is_ok(), good, "{digits}");
        }
        assert!(validate_digits(&"1".repeat(65).as_str().into()).is_err());
    }
}
