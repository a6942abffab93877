//! Sound devices and mixer elements.

use std::ops::{Range, RangeInclusive};

use offhook_hal::audio::{AudioError, BUFFER_FRAMES, PlaybackSpec};
use toml::Spanned;

use super::Check;
use crate::{AudioPath, BoardError, EchoCancelling, GainControl, MixerElement, raw};

/// Mixer elements of real codecs lie within this range, in dB.
const DB: RangeInclusive<f32> = -120.0..=60.0;
/// The longest name a control can have (`SNDRV_CTL_ELEM_ID_NAME_MAXLEN`, with its end).
const CONTROL_BYTES: usize = 43;
/// One's own voice in one's ear: louder than this it howls, quieter it is not heard.
const SIDETONE_DB: RangeInclusive<f32> = -60.0..=-3.0;

/// Frames between two interrupts of a card: from 2 ms, which costs five times as many of them as the phone needs, to
/// 50 ms, of which four have room in the largest buffer.
const PERIODS: RangeInclusive<u32> = 96..=2400;
/// Room in a device's buffer beyond which sound could come that late that nobody talks any more: 200 ms, in times of the
/// least.
const MOST_BUFFERS: u32 = 5;

impl Check<'_> {
    pub(super) fn path(&self, raw: raw::AudioPath) -> Result<AudioPath, BoardError> {
        let least = BUFFER_FRAMES as u32;
        if raw.mixer_card.is_none()
            && let Some(element) = raw.playback_volume.as_ref().or(raw.capture_gain.as_ref())
        {
            let what = "a mixer element is named, but no mixer_card";
            return Err(self.source.invalid(
                &element.span(),
                what,
                "a mixer_card, such as \"hw:0\"",
            ));
        }
        if let (None, Some(switch)) = (&raw.mixer_card, raw.switches.first()) {
            let what = "switches are named, but no mixer_card";
            return Err(self.source.invalid(
                &switch.span(),
                what,
                "a mixer_card, such as \"hw:0\"",
            ));
        }
        let echo_cancelling = self.echo_cancelling(&raw)?;
        let gain_control = self.gain_control(&raw)?;
        Ok(AudioPath {
            capture: raw
                .capture
                .as_ref()
                .parse()
                .map_err(|error| self.device(raw.capture.span(), &error))?,
            playback: self.playback(&raw.playback)?,
            period_frames: self
                .source
                .number("period_frames", &raw.period_frames, PERIODS)?
                as usize,
            buffer_frames: self.source.number(
                "buffer_frames",
                &raw.buffer_frames,
                least..=MOST_BUFFERS * least,
            )? as usize,
            mixer_card: raw
                .mixer_card
                .map(|card| self.text("mixer_card", card))
                .transpose()?,
            playback_volume: raw.playback_volume.map(|e| self.element(e)).transpose()?,
            capture_gain: raw.capture_gain.map(|e| self.element(e)).transpose()?,
            switches: raw
                .switches
                .into_iter()
                .map(|name| self.control(name))
                .collect::<Result<_, _>>()?,
            echo_cancelling,
            noise_suppression: raw.noise_suppression,
            gain_control,
            sidetone_db: raw
                .sidetone_db
                .map(|level| {
                    if SIDETONE_DB.contains(level.as_ref()) {
                        Ok(*level.as_ref())
                    } else {
                        let what = format!("sidetone_db is {}", level.as_ref());
                        Err(self.source.invalid(&level.span(), what, "-60 to -3"))
                    }
                })
                .transpose()?,
        })
    }

    fn echo_cancelling(&self, raw: &raw::AudioPath) -> Result<Option<EchoCancelling>, BoardError> {
        let (on, switch) = (raw.echo_cancelling, "echo_cancelling");
        let delay = raw.echo_extra_delay_ms.as_ref();
        let extra_delay_ms = self.tuned(on, switch, "echo_extra_delay_ms", delay, 0..=100)?;
        let gate = raw.echo_gate_db.as_ref();
        let gate_db = self.tuned(on, switch, "echo_gate_db", gate, 0..=40)?;
        Ok(on.then(|| EchoCancelling {
            extra_delay_ms: extra_delay_ms.unwrap_or(0),
            gate_db: gate_db.unwrap_or(24),
        }))
    }

    fn gain_control(&self, raw: &raw::AudioPath) -> Result<Option<GainControl>, BoardError> {
        let (on, switch) = (raw.gain_control, "gain_control");
        let headroom = raw.gain_headroom_db.as_ref();
        let headroom_db = self.tuned(on, switch, "gain_headroom_db", headroom, 1..=30)?;
        let most = raw.gain_most_db.as_ref();
        let most_db = self.tuned(on, switch, "gain_most_db", most, 1..=40)?;
        Ok(on.then(|| GainControl {
            headroom_db: headroom_db.unwrap_or(5),
            most_db: most_db.unwrap_or(18),
        }))
    }

    /// A value of something that must be switched on for it.
    fn tuned(
        &self,
        on: bool,
        switch: &str,
        key: &str,
        value: Option<&Spanned<u32>>,
        allowed: RangeInclusive<u32>,
    ) -> Result<Option<u8>, BoardError> {
        let Some(value) = value else { return Ok(None) };
        if !on {
            let what = format!("{key} means nothing without {switch} = true");
            let allowed = format!("{switch} = true beside it, or neither");
            return Err(self.source.invalid(&value.span(), what, allowed));
        }
        // The ranges fit.
        Ok(Some(self.source.number(key, value, allowed)? as u8))
    }

    pub(super) fn playback(&self, raw: &Spanned<String>) -> Result<PlaybackSpec, BoardError> {
        raw.as_ref()
            .parse()
            .map_err(|error| self.device(raw.span(), &error))
    }

    fn device(&self, at: Range<usize>, error: &AudioError) -> BoardError {
        match error {
            AudioError::Name {
                given,
                direction,
                allowed,
            } => self
                .source
                .invalid(&at, format!("{direction} is {given:?}"), *allowed),
            other => self
                .source
                .invalid(&at, other.to_string(), "another device"),
        }
    }

    /// The kernel's name of a control.
    fn control(&self, name: Spanned<String>) -> Result<String, BoardError> {
        if name.as_ref().len() > CONTROL_BYTES {
            let what = format!("switches has a name of {} bytes", name.as_ref().len());
            let allowed = format!("1 to {CONTROL_BYTES} bytes, as the kernel's names have");
            return Err(self.source.invalid(&name.span(), what, allowed));
        }
        self.text("switches", name)
    }

    fn element(&self, element: Spanned<raw::MixerElement>) -> Result<MixerElement, BoardError> {
        let raw = element.into_inner();
        let (min_db, max_db) = (*raw.min_db.as_ref(), *raw.max_db.as_ref());
        for (key, value, at) in [
            ("min_db", min_db, raw.min_db.span()),
            ("max_db", max_db, raw.max_db.span()),
        ] {
            if !DB.contains(&value) {
                let allowed = format!("{} to {}", DB.start(), DB.end());
                return Err(self
                    .source
                    .invalid(&at, format!("{key} is {value}"), allowed));
            }
        }
        if min_db >= max_db {
            let what = format!("max_db is {max_db}, and min_db is {min_db}");
            return Err(self
                .source
                .invalid(&raw.max_db.span(), what, "more than min_db"));
        }
        Ok(MixerElement {
            element: self.text("element", raw.element)?,
            min_db,
            max_db,
        })
    }
}
