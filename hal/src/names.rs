//! Text forms of the small enums, shared by board files and the local API.

use thiserror::Error;

/// A key or lamp name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{name}\" is no {what}; allowed: {allowed}")]
pub struct UnknownName {
    /// What was asked for: "key" or "lamp".
    pub what: &'static str,
    /// The name as it was given, shortened to 40 characters.
    pub name: String,
    /// The names there are, for the message.
    pub allowed: &'static str,
}

/// Derives `FromStr` and serde from `Display` and the type's `ALL`, so that a name is written once.
macro_rules! text_form {
    ($type:ty, $what:literal, $allowed:literal) => {
        impl std::str::FromStr for $type {
            type Err = $crate::names::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .into_iter()
                    .find(|value| value.to_string() == name)
                    .ok_or_else(|| $crate::names::UnknownName {
                        what: $what,
                        name: name.chars().take(40).collect(),
                        allowed: $allowed,
                    })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_form;
