//! What the user's fingers do, as one closed enum.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::text_form;

/// A key by its meaning, whatever row and column it is wired to.
///
/// Its text form (`Display`, `FromStr`, serde) is the one of the local API and
/// of board files: `0`..`9`, `*`, `#`, `hold`, `line1`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A digit, 0 to 9.
    Digit(u8),
    /// `*`
    Star,
    /// `#`
    Hash,
    /// Puts the call on hold, or takes it back.
    Hold,
    /// Mutes the microphone.
    Mute,
    /// Transfers the call.
    Transfer,
    /// Joins calls into a conference.
    Conference,
    /// Switches to the loudspeaker and back.
    Speaker,
    /// Switches to the headset and back.
    Headset,
    /// Dials the last number again.
    Redial,
    /// Louder.
    VolumeUp,
    /// Softer.
    VolumeDown,
    /// A line key, 1 to 4.
    Line(u8),
    /// A key beside the display whose meaning the display says, 1 to 4.
    Soft(u8),
    /// Up in a list.
    Up,
    /// Down in a list.
    Down,
    /// Takes what the display offers.
    Ok,
    /// One step back.
    Back,
}

impl Key {
    /// Every key there is, in the order of the local API.
    pub const ALL: [Self; 33] = [
        Self::Digit(0),
        Self::Digit(1),
        Self::Digit(2),
        Self::Digit(3),
        Self::Digit(4),
        Self::Digit(5),
        Self::Digit(6),
        Self::Digit(7),
        Self::Digit(8),
        Self::Digit(9),
        Self::Star,
        Self::Hash,
        Self::Hold,
        Self::Mute,
        Self::Transfer,
        Self::Conference,
        Self::Speaker,
        Self::Headset,
        Self::Redial,
        Self::VolumeUp,
        Self::VolumeDown,
        Self::Line(1),
        Self::Line(2),
        Self::Line(3),
        Self::Line(4),
        Self::Soft(1),
        Self::Soft(2),
        Self::Soft(3),
        Self::Soft(4),
        Self::Up,
        Self::Down,
        Self::Ok,
        Self::Back,
    ];

    /// The DTMF character of a dial key (`0`..`9`, `*`, `#`), or none.
    pub const fn dtmf(self) -> Option<char> {
        match self {
            Self::Digit(digit @ 0..=9) => Some((b'0' + digit) as char),
            Self::Star => Some('*'),
            Self::Hash => Some('#'),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Digit(digit) => return write!(f, "{digit}"),
            Self::Line(line) => return write!(f, "line{line}"),
            Self::Soft(soft) => return write!(f, "soft{soft}"),
            Self::Star => "*",
            Self::Hash => "#",
            Self::Hold => "hold",
            Self::Mute => "mute",
            Self::Transfer => "transfer",
            Self::Conference => "conference",
            Self::Speaker => "speaker",
            Self::Headset => "headset",
            Self::Redial => "redial",
            Self::VolumeUp => "volume_up",
            Self::VolumeDown => "volume_down",
            Self::Up => "up",
            Self::Down => "down",
            Self::Ok => "ok",
            Self::Back => "back",
        };
        f.write_str(name)
    }
}

text_form!(
    Key,
    "key",
    "0 to 9, *, #, hold, mute, transfer, conference, speaker, headset, redial, volume_up, \
     volume_down, line1 to line4, soft1 to soft4, up, down, ok, back"
);

/// What happened to a key, after debouncing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAction {
    /// It went down.
    Pressed,
    /// It has been down for the board's long-press time. [`KeyAction::Pressed`] came before.
    LongPressed,
    /// It came up. Each press has exactly one release.
    Released,
}

/// Where the handset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookState {
    /// The handset lies on its cradle ("on-hook").
    Resting,
    /// The handset is in the user's hand ("off-hook").
    Lifted,
}

/// Everything the front of the phone can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HalEvent {
    /// The handset was lifted, or laid down for longer than a flash.
    Hook(HookState),
    /// The cradle was tapped: rested and was lifted again within the board's flash window.
    HookFlash,
    /// A key changed.
    Key {
        /// Which key.
        key: Key,
        /// What it did.
        action: KeyAction,
    },
    /// Keys are held that the matrix cannot tell apart (three corners of a
    /// rectangle). New presses among them are held back until it clears; keys
    /// already known to be down stay down. Said once per occurrence.
    GhostKeys,
    /// A key has been down for so long that nobody means it (something lies on
    /// it, or the contact is broken). Comes after the key's
    /// [`KeyAction::Released`]; the key is silent until it really comes up.
    KeyStuck(Key),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the local API, in its order.
    const NAMES: &str = "0 1 2 3 4 5 6 7 8 9 * # hold mute transfer conference speaker headset \
                         redial volume_up volume_down line1 line2 line3 line4 soft1 soft2 soft3 \
                         soft4 up down ok back";

    #[test]
    fn key_names_are_the_local_apis_both_ways() {
        let names: Vec<&str> = NAMES.split(' ').collect();
        assert_eq!(Key::ALL.map(|key| key.to_string()).to_vec(), names);
        for key in Key::ALL {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_is() {
        for name in [
            "", "10", "-1", "00", "line0", "line5", "soft5", "Hold", " 1", "é",
        ] {
            let error = name.parse::<Key>().unwrap_err().to_string();
            assert!(
                error.contains("is no key; allowed: 0 to 9, *, #, hold"),
                "{error}"
            );
        }
        let long = "x".repeat(1000).parse::<Key>().unwrap_err();
        assert_eq!(long.name.len(), 40);
    }

    #[test]
    fn only_dial_keys_are_dtmf() {
        let digits: String = Key::ALL.iter().filter_map(|key| key.dtmf()).collect();
        assert_eq!(digits, "0123456789*#");
    }
}
