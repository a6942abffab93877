//! More than one other party behind a leg: who says what, and who hears it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use anyhow::Result;

use super::codec::FRAME;
use super::far_end::Voice;
use super::media::{keep, level, lock};
use super::report::PartyReport;
use crate::measure::{to_i16, tones};

/// The phone itself, among what a party hears.
pub const PHONE: &str = "phone";

/// How far the leg of another phone may be ahead, samples: 200 ms.
const AHEAD: usize = 10 * FRAME;

/// Who hears whom on one leg.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mix {
    /// The leg's own session.
    pub own: String,
    /// Parties without a phone.
    pub parties: Vec<MixParty>,
    /// Parties whose phone has a leg of its own.
    pub legs: Vec<MixLeg>,
}

/// A party without a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixParty {
    /// `P`.
    pub id: String,
    /// What it says: a [`super::FarEndSource`] as text.
    pub far_end: String,
    /// Whether the phone hears it.
    pub to_phone: bool,
    /// What it hears: [`PHONE`], a party's id, or a leg's session. `None`: another leg lets it
    /// hear.
    pub hears: Option<Vec<String>>,
}

/// A party with a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixLeg {
    /// `S` of its leg.
    pub session: String,
    /// Whether this leg's phone hears it.
    pub to_phone: bool,
}

/// Sound on its way from one leg to another, by both sessions.
#[derive(Clone, Default)]
pub(crate) struct Patchbay(Arc<Mutex<Lines>>);

type Lines = HashMap<(String, String), VecDeque<f32>>;

impl Patchbay {
    fn push(&self, from: &str, to: &str, frame: &[f32]) {
        let mut lines = lock(&self.0);
        let line = lines.entry((from.to_owned(), to.to_owned())).or_default();
        line.extend(frame);
        let over = line.len().saturating_sub(AHEAD);
        line.drain(..over);
    }

    fn pull(&self, from: &str, to: &str) -> Vec<f32> {
        let mut lines = lock(&self.0);
        let mut frame: Vec<f32> = match lines.get_mut(&(from.to_owned(), to.to_owned())) {
            Some(line) => line.drain(..line.len().min(FRAME)).collect(),
            None => Vec::new(),
        };
        frame.resize(FRAME, 0.0);
        frame
    }

    /// Takes out whatever comes from or goes to a leg.
    fn unplug(&self, session: &str) {
        lock(&self.0).retain(|(from, to), _| from != session && to != session);
    }
}

/// A mix at work.
pub(super) struct Mixer {
    mix: Mix,
    voices: Vec<Voice>,
    patchbay: Patchbay,
}

impl Mixer {
    /// Prepares every voice; blocks while it reads files.
    pub(super) fn new(mix: Mix, patchbay: Patchbay) -> Result<Self> {
        let voices = mix
            .parties
            .iter()
            .map(|party| Voice::new(&party.far_end.parse()?))
            .collect::<Result<_>>()?;
        Ok(Self {
            mix,
            voices,
            patchbay,
        })
    }

    /// What was heard of the parties that stay is not forgotten.
    pub(super) fn parties(&self, before: &[Party]) -> Vec<Party> {
        let hearing = |party: &MixParty| {
            let known = before.iter().find(|one| one.id == party.id);
            Some(Party {
                id: party.id.clone(),
                far_end: party.far_end.clone(),
                to_phone: party.to_phone,
                hears: party.hears.clone()?,
                heard: known.map(|one| one.heard.clone()).unwrap_or_default(),
            })
        };
        self.mix.parties.iter().filter_map(hearing).collect()
    }

    /// The next 20 ms: what the phone is told, while `heard` is what it said. What each party
    /// hears is kept with it.
    pub(super) fn frame(&mut self, heard: &[f32], parties: &mut [Party]) -> Vec<f32> {
        let mut phone = heard.to_vec();
        phone.resize(FRAME, 0.0);
        let mut said: HashMap<&str, Vec<f32>> = HashMap::from([(PHONE, phone.clone())]);
        let mut out = vec![0.0; FRAME];
        for leg in &self.mix.legs {
            self.patchbay.push(&self.mix.own, &leg.session, &phone);
            let frame = self.patchbay.pull(&leg.session, &self.mix.own);
            if leg.to_phone {
                add(&mut out, &frame);
            }
            said.insert(&leg.session, frame);
        }
        for (party, voice) in self.mix.parties.iter().zip(&mut self.voices) {
            let frame = voice.frame(&phone);
            if party.to_phone {
                add(&mut out, &frame);
            }
            said.insert(&party.id, frame);
        }
        for party in parties {
            let mut frame = vec![0.0; FRAME];
            for from in party.hears.iter().filter_map(|id| said.get(id.as_str())) {
                add(&mut frame, from);
            }
            let pcm: Vec<i16> = frame.into_iter().map(to_i16).collect();
            keep(&mut party.heard, &pcm);
        }
        out
    }
}

impl Drop for Mixer {
    fn drop(&mut self) {
        self.patchbay.unplug(&self.mix.own);
    }
}

/// A party and what it heard over the last second.
#[derive(Debug, Clone, Default)]
pub(super) struct Party {
    id: String,
    far_end: String,
    to_phone: bool,
    hears: Vec<String>,
    heard: VecDeque<i16>,
}

impl Party {
    pub(super) fn report(&self) -> PartyReport {
        let samples: Vec<i16> = self.heard.iter().copied().collect();
        PartyReport {
            participant_id: self.id.clone(),
            far_end: self.far_end.clone(),
            to_phone: self.to_phone,
            hears: self.hears.clone(),
            level: level(&self.heard),
            tones: tones(&samples),
        }
    }
}

fn add(sum: &mut [f32], frame: &[f32]) {
    for (sum, sample) in sum.iter_mut().zip(frame) {
        *sum += sample;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(id: &str, hz: u32, to_phone: bool, hears: &[&str]) -> MixParty {
        MixParty {
            id: id.into(),
            far_end: format!("tone:{hz}"),
            to_phone,
            hears: Some(hears.iter().map(|&one| one.into()).collect()),
        }
    }

    fn hertz(samples: &[i16]) -> Vec<i32> {
        let mut found: Vec<i32> = tones(samples)
            .iter()
            .map(|tone| tone.hz.round() as i32)
            .collect();
        found.sort_unstable();
        found
    }

    /// One second of a mix, with a phone that says 1 kHz: what it hears, and what the parties do.
    fn second(mix: Mix) -> (Vec<i32>, Vec<Vec<i32>>) {
        let mut mixer = Mixer::new(mix, Patchbay::default()).unwrap();
        let mut phone = Voice::new(&"tone:1000".parse().unwrap()).unwrap();
        let mut parties = mixer.parties(&[]);
        let mut out = Vec::new();
        for _ in 0..50 {
            let said = phone.frame(&[]);
            out.extend(mixer.frame(&said, &mut parties).into_iter().map(to_i16));
        }
        let heard = parties
            .iter()
            .map(|one| hertz(&one.heard.iter().copied().collect::<Vec<_>>()))
            .collect();
        (hertz(&out), heard)
    }

    #[test]
    fn in_a_conference_everybody_hears_both_others() {
        let mix = Mix {
            own: "S".into(),
            parties: vec![
                party("a", 440, true, &[PHONE, "b"]),
                party("b", 600, true, &[PHONE, "a"]),
            ],
            legs: Vec::new(),
        };
        let (phone, parties) = second(mix);
        assert_eq!(phone, [440, 600]);
        assert_eq!(parties, [[600, 1000], [440, 1000]]);
    }

    #[test]
    fn who_is_set_apart_hears_and_says_nothing() {
        let mix = Mix {
            own: "S".into(),
            parties: vec![party("a", 440, false, &[]), party("b", 600, true, &[PHONE])],
            legs: Vec::new(),
        };
        let (phone, parties) = second(mix);
        assert_eq!(phone, [600]);
        assert_eq!(parties, [vec![], vec![1000]]);
    }

    #[test]
    fn two_phones_hear_each_other() {
        let leg = |session: &str| MixLeg {
            session: session.into(),
            to_phone: true,
        };
        let patchbay = Patchbay::default();
        let mut mixers: Vec<Mixer> = [("A", "B"), ("B", "A")]
            .into_iter()
            .map(|(own, other)| {
                let mix = Mix {
                    own: own.into(),
                    parties: Vec::new(),
                    legs: vec![leg(other)],
                };
                Mixer::new(mix, patchbay.clone()).unwrap()
            })
            .collect();
        let mut heard = Vec::new();
        let mut voice = Voice::new(&"tone:500".parse().unwrap()).unwrap();
        for _ in 0..50 {
            let said = voice.frame(&[]);
            mixers[0].frame(&said, &mut []);
            heard.extend(mixers[1].frame(&[], &mut []).into_iter().map(to_i16));
        }
        assert_eq!(hertz(&heard), [500]);
        drop(mixers);
        assert!(lock(&patchbay.0).is_empty());
    }
}
