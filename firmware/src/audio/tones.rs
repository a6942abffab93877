//! The one table of tones: frequencies, levels, cadences, and where they are written.

use super::{KeyTone, Tone, TonePlan};

/// One frequency of a tone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Hertz; 0: none.
    pub hz: u16,
    /// Level, dBm0. A full-scale sine is +3.17 dBm0 (G.711 5, mu-law).
    pub dbm0: i8,
}

impl Part {
    const NONE: Self = Self { hz: 0, dbm0: 0 };

    /// Peak, full scale 1.
    pub fn amplitude(self) -> f64 {
        if self.hz == 0 {
            0.0
        } else {
            10f64.powf((f64::from(self.dbm0) - 3.17) / 20.0)
        }
    }
}

/// A tone: up to two frequencies and a cadence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// Heard together, unless they alternate.
    pub parts: [Part; 2],
    /// If set the two frequencies alternate, each for so many milliseconds.
    pub alternate_ms: Option<u16>,
    /// Milliseconds of sound, pause, sound, pause ..., from the start again; empty: continuous.
    pub cadence: &'static [u16],
}

const fn part(hz: u16, dbm0: i8) -> Part {
    Part { hz, dbm0 }
}

const fn signal(parts: [Part; 2], cadence: &'static [u16]) -> Signal {
    Signal {
        parts,
        alternate_ms: None,
        cadence,
    }
}

const fn one(hz: u16, dbm0: i8, cadence: &'static [u16]) -> Signal {
    signal([part(hz, dbm0), Part::NONE], cadence)
}

const fn two(low: u16, high: u16, dbm0: i8, cadence: &'static [u16]) -> Signal {
    signal([part(low, dbm0), part(high, dbm0)], cadence)
}

struct Plan {
    dial: Signal,
    ringback: Signal,
    busy: Signal,
    reorder: Signal,
    call_waiting: Signal,
    ring_cadence: &'static [u16],
}

/// The precise tone plan: Telcordia GR-506 17 and ITU-T E.180 Supplement 2, "United States".
const NORTH_AMERICA: Plan = Plan {
    dial: two(350, 440, -13, &[]),
    ringback: two(440, 480, -19, &[2000, 4000]),
    busy: two(480, 620, -24, &[500, 500]),
    reorder: two(480, 620, -24, &[250, 250]),
    call_waiting: one(440, -13, &[300, 9700]),
    ring_cadence: &[2000, 4000],
};

/// BT SIN 350 and ITU-T E.180 Supplement 2, "United Kingdom"; reorder is "congestion" (equipment engaged). The levels
/// are E.180's -10 dBm0, shared out between the parts.
const UNITED_KINGDOM: Plan = Plan {
    dial: two(350, 440, -13, &[]),
    ringback: two(400, 450, -13, &[400, 200, 400, 2000]),
    busy: one(400, -10, &[375, 375]),
    reorder: one(400, -10, &[400, 350, 225, 525]),
    call_waiting: one(400, -16, &[100, 3000]),
    ring_cadence: &[400, 200, 400, 2000],
};

/// ITU-T E.180 Supplement 2, "Germany"; within ETSI TR 101 041-2. Reorder is "congestion". Levels as E.180: -10 dBm0.
const CONTINENTAL_EUROPE: Plan = Plan {
    dial: one(425, -10, &[]),
    ringback: one(425, -10, &[1000, 4000]),
    busy: one(425, -10, &[480, 480]),
    reorder: one(425, -10, &[240, 240]),
    call_waiting: one(425, -16, &[200, 200, 200, 5000]),
    ring_cadence: &[1000, 4000],
};

/// The ring itself is nobody's standard: two frequencies a fourth apart, where small loudspeakers are loud, in turn as
/// the gongs of a bell.
const RING_PARTS: [Part; 2] = [part(1000, -6), part(1333, -6)];
const RING_ALTERNATE_MS: u16 = 40;

/// Key tones in the own ear: low and high group with ETSI ES 201 235-2's difference of 2 dB, quieter than on a line.
const KEY_LOW_DBM0: i8 = -18;
const KEY_HIGH_DBM0: i8 = -16;

fn plan(plan: TonePlan) -> &'static Plan {
    match plan {
        TonePlan::NorthAmerica => &NORTH_AMERICA,
        TonePlan::UnitedKingdom => &UNITED_KINGDOM,
        TonePlan::ContinentalEurope => &CONTINENTAL_EUROPE,
    }
}

/// A call progress tone.
pub fn progress(of: TonePlan, tone: Tone) -> Signal {
    let plan = plan(of);
    match tone {
        Tone::Dial => plan.dial,
        Tone::Ringback => plan.ringback,
        Tone::Busy => plan.busy,
        Tone::Reorder => plan.reorder,
        Tone::CallWaiting => plan.call_waiting,
    }
}

/// The phone's own ring.
pub fn ring(of: TonePlan) -> Signal {
    Signal {
        parts: RING_PARTS,
        alternate_ms: Some(RING_ALTERNATE_MS),
        cadence: plan(of).ring_cadence,
    }
}

/// A key's pair (ITU-T Q.23); `None` for what is no key.
pub fn key(key: KeyTone) -> Option<Signal> {
    const KEYS: [[char; 4]; 4] = [
        ['1', '2', '3', 'A'],
        ['4', '5', '6', 'B'],
        ['7', '8', '9', 'C'],
        ['*', '0', '#', 'D'],
    ];
    const LOW_HZ: [u16; 4] = [697, 770, 852, 941];
    const HIGH_HZ: [u16; 4] = [1209, 1336, 1477, 1633];
    KEYS.iter().zip(LOW_HZ).find_map(|(row, low)| {
        let column = row.iter().position(|&c| c == key.0.to_ascii_uppercase())?;
        let parts = [
            part(low, KEY_LOW_DBM0),
            part(HIGH_HZ[column], KEY_HIGH_DBM0),
        ];
        Some(signal(parts, &[]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_q23() {
        for (c, low, high) in [
            ('1', 697, 1209),
            ('6', 770, 1477),
            ('0', 941, 1336),
            ('d', 941, 1633),
        ] {
            let parts = key(KeyTone(c)).unwrap().parts;
            assert_eq!((parts[0].hz, parts[1].hz), (low, high), "{c}");
        }
        assert_eq!(key(KeyTone('x')), None);
    }

    #[test]
    fn levels_are_relative_to_full_scale() {
        let amplitude = part(1000, 3).amplitude();
        assert!(
            (0.98..1.0).contains(&amplitude),
            "+3 dBm0 is nearly full scale: {amplitude}"
        );
        assert_eq!(Part::NONE.amplitude(), 0.0);
    }
}
