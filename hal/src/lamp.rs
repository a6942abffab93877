//! Lamps: what they are, what they show, and the timing of their blinking.

use std::fmt;
use std::time::{Duration, Instant};

use embedded_hal::digital::OutputPin;
use heapless::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::text_form;

/// A lamp by its meaning. Text form: `message`, `mute`, `speaker`, `headset`, `line1`..`line4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lamp {
    /// Message waiting; also shows the phone's own state while no call is there.
    Message,
    /// The microphone is muted.
    Mute,
    /// The loudspeaker is in use.
    Speaker,
    /// The headset is in use.
    Headset,
    /// A line key's lamp, 1 to 4.
    Line(u8),
}

impl Lamp {
    /// Every lamp there is; a board may have fewer.
    pub const ALL: [Self; 8] = [
        Self::Message,
        Self::Mute,
        Self::Speaker,
        Self::Headset,
        Self::Line(1),
        Self::Line(2),
        Self::Line(3),
        Self::Line(4),
    ];
}

impl fmt::Display for Lamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("message"),
            Self::Mute => f.write_str("mute"),
            Self::Speaker => f.write_str("speaker"),
            Self::Headset => f.write_str("headset"),
            Self::Line(line) => write!(f, "line{line}"),
        }
    }
}

text_form!(
    Lamp,
    "lamp",
    "message, mute, speaker, headset, line1 to line4"
);

/// What a lamp shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LampState {
    /// Dark.
    #[default]
    Off,
    /// Lit.
    On,
    /// Blinks slowly: a held call, a waiting message.
    Slow,
    /// Blinks fast: a ringing call.
    Fast,
}

/// Half a period of slow blinking: lit for 0.5 s, dark for 0.5 s.
const SLOW_HALF: Duration = Duration::from_millis(500);
/// Half a period of fast blinking: 5 Hz, well seen and far from what could trigger a seizure with
/// lamps of this size.
const FAST_HALF: Duration = Duration::from_millis(100);

impl LampState {
    /// Whether a lamp in this state is lit `elapsed` after the beginning of its rhythm.
    pub const fn is_lit(self, elapsed: Duration) -> bool {
        match self.half_period() {
            Some(half) => (elapsed.as_millis() / half.as_millis()).is_multiple_of(2),
            None => matches!(self, Self::On),
        }
    }

    /// How long after `elapsed` it changes next; none if it never does.
    pub fn changes_in(self, elapsed: Duration) -> Option<Duration> {
        let half = self.half_period()?.as_nanos() as u64;
        Some(Duration::from_nanos(
            half - elapsed.as_nanos() as u64 % half,
        ))
    }

    const fn half_period(self) -> Option<Duration> {
        match self {
            Self::Off | Self::On => None,
            Self::Slow => Some(SLOW_HALF),
            Self::Fast => Some(FAST_HALF),
        }
    }
}

/// A lamp could not be set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LampError {
    /// The pin behind the lamp refused.
    #[error(
        "lamp \"{lamp}\" could not be switched ({reason}); check its pin in the board file and \
         that no other program holds it"
    )]
    Pin {
        /// Which lamp.
        lamp: Lamp,
        /// The driver's own words.
        reason: String,
    },
    /// More lamps than there are meanings.
    #[error("a board has at most {} lamps", Lamp::ALL.len())]
    TooMany,
}

/// The lamps of a board.
///
/// A lamp the board does not have is silently ignored: the phone need not know
/// which lamps there are.
pub trait Lamps: Send {
    /// Lets `lamp` show `state` from now on. Setting the state it already has changes nothing,
    /// so that a blinking lamp keeps its rhythm.
    fn set(&mut self, lamp: Lamp, state: LampState) -> Result<(), LampError>;
}

/// Lamps on pins.
///
/// All that blink alike blink together, which is calmer to look at. Setting a lamp shows at once;
/// blinking goes on with [`PinLamps::advance`].
#[derive(Debug)]
pub struct PinLamps<P> {
    lamps: Vec<PinLamp<P>, { Lamp::ALL.len() }>,
    epoch: Instant,
    now: Instant,
}

#[derive(Debug)]
struct PinLamp<P> {
    lamp: Lamp,
    pin: P,
    lit_is_high: bool,
    state: LampState,
    /// What the pin shows; unknown at first, and after the pin refused.
    lit: Option<bool>,
}

impl<P: OutputPin> PinLamps<P> {
    /// Dark lamps: which, its pin, and whether it is lit while the pin is high.
    pub fn new(
        pins: impl IntoIterator<Item = (Lamp, P, bool)>,
        now: Instant,
    ) -> Result<Self, LampError> {
        let mut lamps = Vec::new();
        for (lamp, pin, lit_is_high) in pins {
            let dark = PinLamp {
                lamp,
                pin,
                lit_is_high,
                state: LampState::Off,
                lit: None,
            };
            lamps.push(dark).map_err(|_| LampError::TooMany)?;
        }
        let mut lamps = Self {
            lamps,
            epoch: now,
            now,
        };
        lamps.advance(now)?;
        Ok(lamps)
    }

    /// Lets the lamps show what they are to show at `now`. All are tried, also after one refused.
    pub fn advance(&mut self, now: Instant) -> Result<(), LampError> {
        self.now = now;
        let elapsed = now.saturating_duration_since(self.epoch);
        self.lamps
            .iter_mut()
            .map(|lamp| lamp.show(elapsed))
            .fold(Ok(()), Result::and)
    }

    /// When [`PinLamps::advance`] changes something next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let elapsed = self.now.saturating_duration_since(self.epoch);
        let next = self
            .lamps
            .iter()
            .filter_map(|lamp| lamp.state.changes_in(elapsed))
            .min()?;
        Some(self.now + next)
    }
}

impl<P: OutputPin + Send> Lamps for PinLamps<P> {
    fn set(&mut self, lamp: Lamp, state: LampState) -> Result<(), LampError> {
        let elapsed = self.now.saturating_duration_since(self.epoch);
        self.lamps
            .iter_mut()
            .filter(|pin| pin.lamp == lamp)
            .map(|pin| {
                pin.state = state;
                pin.show(elapsed)
            })
            .fold(Ok(()), Result::and)
    }
}

impl<P: OutputPin> PinLamp<P> {
    fn show(&mut self, elapsed: Duration) -> Result<(), LampError> {
        let lit = self.state.is_lit(elapsed);
        if self.lit == Some(lit) {
            return Ok(());
        }
        let level = (lit == self.lit_is_high).into();
        let result = self.pin.set_state(level);
        self.lit = result.is_ok().then_some(lit);
        result.map_err(|error| LampError::Pin {
            lamp: self.lamp,
            reason: format!("{error:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    #[test]
    fn names_are_the_local_apis() {
        let names: std::vec::Vec<String> = Lamp::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "message", "mute", "speaker", "headset", "line1", "line2", "line3", "line4"
            ]
        );
        for lamp in Lamp::ALL {
            assert_eq!(lamp.to_string().parse(), Ok(lamp));
        }
        assert!("line5".parse::<Lamp>().is_err());
    }

    #[test]
    fn blinking_is_a_function_of_time() {
        for (state, at_ms, lit, changes_in_ms) in [
            (LampState::Off, 123, false, None),
            (LampState::On, 123, true, None),
            (LampState::Slow, 0, true, Some(500)),
            (LampState::Slow, 499, true, Some(1)),
            (LampState::Slow, 500, false, Some(500)),
            (LampState::Slow, 1_250, true, Some(250)),
            (LampState::Fast, 99, true, Some(1)),
            (LampState::Fast, 100, false, Some(100)),
            (LampState::Fast, 86_400_000, true, Some(100)),
        ] {
            let at = Duration::from_millis(at_ms);
            assert_eq!(state.is_lit(at), lit, "{state:?} at {at_ms}");
            assert_eq!(
                state.changes_in(at),
                changes_in_ms.map(Duration::from_millis)
            );
        }
    }

    #[test]
    fn pins_are_switched_only_when_something_changes() {
        use State::{High, Low};
        let start = Instant::now();
        let mut message = Mock::new(&[Low, High, Low, High].map(Transaction::set));
        let mut mute = Mock::new(&[High, Low, High].map(Transaction::set));
        let pins = [
            (Lamp::Message, message.clone(), true),
            (Lamp::Mute, mute.clone(), false),
        ];
        let mut lamps = PinLamps::new(pins, start).unwrap();
        assert_eq!(lamps.next_deadline(), None);
        lamps.set(Lamp::Mute, LampState::On).unwrap();
        lamps.set(Lamp::Mute, LampState::On).unwrap();
        lamps.set(Lamp::Headset, LampState::On).unwrap();
        lamps.set(Lamp::Message, LampState::Slow).unwrap();
        for at_ms in [500, 1_000] {
            let due = lamps.next_deadline().unwrap();
            assert_eq!(due, start + Duration::from_millis(at_ms));
            lamps
                .advance(start + Duration::from_millis(at_ms - 1))
                .unwrap();
            lamps.advance(due).unwrap();
        }
        lamps.set(Lamp::Message, LampState::On).unwrap();
        lamps.set(Lamp::Mute, LampState::Off).unwrap();
        assert_eq!(lamps.next_deadline(), None);
        message.done();
        mute.done();
    }

    #[test]
    fn a_refusing_pin_is_named_and_tried_again() {
        let refuse =
            Transaction::set(State::High).with_error(MockError::Io(std::io::ErrorKind::Other));
        let mut pin = Mock::new(&[
            Transaction::set(State::Low),
            refuse,
            Transaction::set(State::High),
        ]);
        let now = Instant::now();
        let mut lamps = PinLamps::new([(Lamp::Line(2), pin.clone(), true)], now).unwrap();
        let error = lamps
            .set(Lamp::Line(2), LampState::On)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("lamp \"line2\" could not be switched"),
            "{error}"
        );
        lamps.advance(now).unwrap();
        pin.done();
    }
}
