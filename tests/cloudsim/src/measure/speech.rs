//! Recorded human speech that can be installed anywhere.

use std::path::{Path, PathBuf};

use super::{MeasureError, RATE, Result, read_wav, write_wav};

/// Where Debian's `alsa-utils` puts the voice of `speaker-test`.
const FOLDER: &str = "/usr/share/sounds/alsa";

/// One speaker saying where the loudspeaker stands; `Noise.wav` beside them is no voice.
const PHRASES: [&str; 8] = [
    "Front_Center",
    "Front_Left",
    "Front_Right",
    "Rear_Center",
    "Rear_Left",
    "Rear_Right",
    "Side_Left",
    "Side_Right",
];

/// About eleven seconds of recorded speech: eight phrases with a quarter of a second between
/// them.
pub fn speech() -> Result<Vec<i16>> {
    let folder = Path::new(FOLDER);
    let pause = vec![0_i16; RATE as usize / 4];
    let mut joined = Vec::new();
    for phrase in PHRASES {
        let file = folder.join(phrase).with_extension("wav");
        if !file.exists() {
            return Err(MeasureError::NoSpeech(folder.to_owned()));
        }
        joined.extend_from_slice(&read_wav(&file)?);
        joined.extend_from_slice(&pause);
    }
    Ok(joined)
}

/// [`speech`] as a file `speech.wav` in a folder.
pub fn speech_wav(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("speech.wav");
    write_wav(&file, &speech()?)?;
    Ok(file)
}
