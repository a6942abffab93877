//! Sound devices and mixer elements.

use std::ops::{Range, RangeInclusive};

use offhook_hal::audio::{AudioError, BUFFER_FRAMES, PlaybackSpec};
use toml::Spanned;

use super::Check;
use crate::{AudioPath, BoardError, MixerElement, raw};

/// Mixer elements of real codecs lie within this range, in dB.
const DB: RangeInclusive<f32> = -120.0..=60.0;
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
            echo_cancelling: raw.echo_cancelling,
            noise_suppression: raw.noise_suppression,
            gain_control: raw.gain_control,
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
