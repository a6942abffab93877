//! A sound card's own volume: mixer elements, set in decibel; and the switches that connect its parts.

use std::ffi::CString;
use std::sync::Arc;

use alsa::Round;
use alsa::ctl::{ElemId, ElemIface, ElemType};
use alsa::hctl::{Elem, HCtl};
use alsa::mixer::{MilliBel, Mixer, Selem, SelemId};
use thiserror::Error;

use super::Direction;

/// One element of a card and the part of its range that is used.
#[derive(Debug, Clone, PartialEq)]
pub struct MixerControl {
    /// The card, such as `hw:0`.
    pub card: Arc<str>,
    /// The element's name, as `amixer scontrols` lists it.
    pub element: Arc<str>,
    /// Which of its volumes.
    pub direction: Direction,
    /// 1 percent, dB.
    pub min_db: f32,
    /// 100 percent, dB.
    pub max_db: f32,
}

/// One switch of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixerSwitch {
    /// The card, such as `hw:0`.
    pub card: Arc<str>,
    /// The kernel's own name of the control, as `amixer controls` lists it: not the shorter one of a simple element.
    pub control: Arc<str>,
}

/// A mixer element or a switch cannot be set.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MixerError {
    /// No such card, or it has no mixer.
    #[error(
        "the sound card \"{card}\" has no mixer ({reason}); correct mixer_card in the board file"
    )]
    Card {
        /// As configured.
        card: Arc<str>,
        /// The system's own words.
        reason: Arc<str>,
    },
    /// No such element.
    #[error(
        "the sound card \"{card}\" has no mixer element \"{element}\" with a {direction} volume; \
         `amixer -D {card} scontrols` lists them"
    )]
    Element {
        /// As configured.
        card: Arc<str>,
        /// As configured.
        element: Arc<str>,
        /// Which volume.
        direction: Direction,
    },
    /// No such switch.
    #[error(
        "the sound card \"{card}\" has no control \"{control}\" that is a switch; \
         `amixer -D {card} controls` lists them"
    )]
    Switch {
        /// As configured.
        card: Arc<str>,
        /// As configured.
        control: Arc<str>,
    },
    /// The card refused.
    #[error("the mixer element \"{element}\" of \"{card}\" cannot be set ({reason})")]
    Refused {
        /// As configured.
        card: Arc<str>,
        /// As configured.
        element: Arc<str>,
        /// The system's own words.
        reason: Arc<str>,
    },
}

impl MixerControl {
    /// Whether both set the same thing of the same card, over whatever range.
    #[must_use]
    pub fn is_same_element(&self, other: &Self) -> bool {
        (&self.card, &self.element, self.direction)
            == (&other.card, &other.element, other.direction)
    }

    /// Sets the element: 0 percent is off (its switch, or else its least), 1 to 100 percent is `min_db` to `max_db` in
    /// equal steps of dB, as near as the card can. Opens the card's mixer and closes it again: not for the audio thread.
    pub fn set(&self, percent: u8) -> Result<(), MixerError> {
        let mixer = Mixer::new(&self.card, false).map_err(|error| MixerError::Card {
            card: Arc::clone(&self.card),
            reason: error.to_string().into(),
        })?;
        let playback = self.direction == Direction::Playback;
        let element = mixer
            .find_selem(&SelemId::new(&self.element, 0))
            .filter(|element| {
                if playback {
                    element.has_playback_volume()
                } else {
                    element.has_capture_volume()
                }
            })
            .ok_or_else(|| MixerError::Element {
                card: Arc::clone(&self.card),
                element: Arc::clone(&self.element),
                direction: self.direction,
            })?;
        self.apply(&element, percent)
            .map_err(|error| MixerError::Refused {
                card: Arc::clone(&self.card),
                element: Arc::clone(&self.element),
                reason: error.to_string().into(),
            })
    }

    fn apply(&self, element: &Selem<'_>, percent: u8) -> alsa::Result<()> {
        let on = i32::from(percent > 0);
        let db = MilliBel::from_db(self.db(percent));
        if self.direction == Direction::Playback {
            if element.has_playback_switch() {
                element.set_playback_switch_all(on)?;
            }
            element.set_playback_db_all(db, Round::Floor)
        } else {
            if element.has_capture_switch() {
                element.set_capture_switch_all(on)?;
            }
            element.set_capture_db_all(db, Round::Floor)
        }
    }

    /// The decibels of a volume; those of 0 percent are lower than any card has.
    fn db(&self, percent: u8) -> f32 {
        match percent.min(100) {
            0 => -120.0,
            percent => {
                let part = f32::from(percent - 1) / 99.0;
                self.min_db + (self.max_db - self.min_db) * part
            }
        }
    }
}

impl MixerSwitch {
    /// Sets all channels of the switch on. Opens the card's controls and closes them again: not for the audio thread.
    pub fn set_on(&self) -> Result<(), MixerError> {
        let controls = self.controls().map_err(|error| MixerError::Card {
            card: Arc::clone(&self.card),
            reason: error.to_string().into(),
        })?;
        let switch = self.find(&controls).ok_or_else(|| MixerError::Switch {
            card: Arc::clone(&self.card),
            control: Arc::clone(&self.control),
        })?;
        set_all(&switch).map_err(|error| MixerError::Refused {
            card: Arc::clone(&self.card),
            element: Arc::clone(&self.control),
            reason: error.to_string().into(),
        })
    }

    fn controls(&self) -> alsa::Result<HCtl> {
        let controls = HCtl::new(&self.card, false)?;
        controls.load()?;
        Ok(controls)
    }

    fn find<'a>(&self, controls: &'a HCtl) -> Option<Elem<'a>> {
        let mut id = ElemId::new(ElemIface::Mixer);
        id.set_name(&CString::new(&*self.control).ok()?);
        let element = controls.find_elem(&id)?;
        let is_switch = element.info().ok()?.get_type() == ElemType::Boolean;
        is_switch.then_some(element)
    }
}

fn set_all(switch: &Elem<'_>) -> alsa::Result<()> {
    let mut value = switch.read()?;
    for channel in 0..switch.info()?.get_count() {
        // It is a switch, and has that channel.
        let _ = value.set_boolean(channel, true);
    }
    switch.write(&value)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> MixerControl {
        MixerControl {
            card: "hw:31".into(),
            element: "Headphone".into(),
            direction: Direction::Playback,
            min_db: -40.0,
            max_db: 6.0,
        }
    }

    #[test]
    fn percent_is_linear_in_decibel() {
        let control = control();
        for (percent, db) in [(0, -120.0), (1, -40.0), (100, 6.0), (200, 6.0)] {
            assert!((control.db(percent) - db).abs() < 1e-4, "{percent}");
        }
        assert!((control.db(51) - control.db(50) - 46.0 / 99.0).abs() < 1e-4);
    }

    #[test]
    fn a_card_there_is_not_is_named() {
        let message = control().set(50).unwrap_err().to_string();
        assert!(
            message.starts_with("the sound card \"hw:31\" has no mixer ("),
            "{message}"
        );
        let switch = MixerSwitch {
            card: "hw:31".into(),
            control: "Left Output Mixer PCM Playback Switch".into(),
        };
        let error = switch.set_on().unwrap_err();
        assert!(matches!(error, MixerError::Card { .. }), "{error}");
    }
}
