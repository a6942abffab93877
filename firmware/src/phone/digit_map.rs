//! Which numbers are complete without waiting: patterns like those of RFC 3435 section 2.1.5.
//!
//! `0`..`9`, `*`, `#`, `+` stand for themselves, `x` for any digit, `[2-57]` for one of a set, `.` for any number of
//! repetitions of the element before it (none included), `T` at the end for "only when the time is up".

/// A key entered, as one bit: digits 0 to 9, then `*`, `#`, `+`.
type Keys = u16;

const ANY_DIGIT: Keys = 0x3ff;
/// Longest pattern: no dial plan has longer numbers than 15 digits (ITU-T E.164) and a prefix.
const MAX_ELEMENTS: usize = 32;

/// Patterns of complete numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitMap(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    elements: Vec<Element>,
    /// Ends with `T`.
    waits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element {
    keys: Keys,
    repeats: bool,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "dial pattern \"{pattern}\": {problem} at character {at}; allowed are 0-9 * # + x [..] . and T at the end"
)]
pub struct DigitMapError {
    /// The pattern, shortened to 40 characters.
    pub pattern: String,
    /// What is wrong.
    pub problem: &'static str,
    /// Where, from 1.
    pub at: usize,
}

/// How digits entered so far relate to one pattern.
#[derive(Clone, Copy, Debug, Default)]
struct Match {
    complete: bool,
    can_grow: bool,
}

impl DigitMap {
    /// Reads `patterns`.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, DigitMapError> {
        let patterns = patterns
            .iter()
            .map(|pattern| Pattern::parse(pattern.as_ref()));
        Ok(Self(patterns.collect::<Result<_, _>>()?))
    }

    /// Whether `number` is complete and no pattern can be met by more keys, so that waiting would be for nothing.
    pub fn is_complete(&self, number: &str) -> bool {
        let matches = self
            .0
            .iter()
            .map(|pattern| (pattern.meets(number), pattern.waits));
        let mut complete = false;
        for (found, waits) in matches {
            if found.can_grow || (found.complete && waits) {
                return false;
            }
            complete |= found.complete;
        }
        complete
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, DigitMapError> {
        let error = |problem, at| DigitMapError {
            pattern: text.chars().take(40).collect(),
            problem,
            at,
        };
        let mut elements: Vec<Element> = Vec::new();
        let mut waits = false;
        let mut characters = (1..).zip(text.chars());
        while let Some((at, character)) = characters.next() {
            if waits {
                return Err(error("something follows T", at));
            }
            match character {
                'T' => waits = true,
                '.' => match elements.last_mut() {
                    Some(last) if !last.repeats => last.repeats = true,
                    _ => return Err(error("nothing to repeat", at)),
                },
                _ if elements.len() == MAX_ELEMENTS => return Err(error("it is too long", at)),
                _ => {
                    let keys = match character {
                        'x' | 'X' => Some(ANY_DIGIT),
                        '[' => set(&mut characters),
                        _ => key(character),
                    };
                    let keys = keys.ok_or_else(|| error("this cannot be read", at))?;
                    elements.push(Element {
                        keys,
                        repeats: false,
                    });
                }
            }
        }
        if elements.is_empty() {
            return Err(error("it is empty", 1));
        }
        Ok(Self { elements, waits })
    }

    /// Follows all ways through the pattern at once: bit `n` of `here` says that the first `n` elements can be behind.
    fn meets(&self, number: &str) -> Match {
        let end = self.elements.len();
        let mut here = self.skip_repeats(1);
        for character in number.chars() {
            let Some(keys) = key(character) else {
                return Match::default();
            };
            let mut next = 0;
            for (index, element) in self.elements.iter().enumerate() {
                if here & (1 << index) != 0 && element.keys & keys != 0 {
                    next |= if element.repeats {
                        1 << index
                    } else {
                        1 << (index + 1)
                    };
                }
            }
            here = self.skip_repeats(next);
        }
        Match {
            complete: here & (1 << end) != 0,
            can_grow: here & ((1 << end) - 1) != 0,
        }
    }

    /// A repeated element may be there no more times.
    fn skip_repeats(&self, mut here: u64) -> u64 {
        for (index, element) in self.elements.iter().enumerate() {
            if element.repeats && here & (1 << index) != 0 {
                here |= 1 << (index + 1);
            }
        }
        here
    }
}

fn key(character: char) -> Option<Keys> {
    match character {
        '0'..='9' => Some(1 << (character as u32 - '0' as u32)),
        '*' => Some(1 << 10),
        '#' => Some(1 << 11),
        '+' => Some(1 << 12),
        _ => None,
    }
}

/// The rest of `[..]`, after the bracket.
fn set(characters: &mut impl Iterator<Item = (usize, char)>) -> Option<Keys> {
    let mut keys: Keys = 0;
    let mut from: Option<char> = None;
    loop {
        match characters.next()?.1 {
            ']' => return (keys != 0).then_some(keys),
            '-' => {
                let to = characters.next()?.1;
                let from = from.take()?;
                if !from.is_ascii_digit() || !to.is_ascii_digit() || to < from {
                    return None;
                }
                for digit in from..=to {
                    keys |= key(digit)?;
                }
            }
            character => {
                keys |= key(character)?;
                from = Some(character);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(patterns: &[&str]) -> DigitMap {
        DigitMap::parse(patterns).expect("readable")
    }

    #[test]
    fn numbers_are_complete_when_nothing_can_follow() {
        for (patterns, number, complete) in [
            (&["112"][..], "112", true),
            (&["112"], "11", false),
            (&["112"], "1123", false),
            (&["112", "112x"], "112", false),
            (&["112", "112x"], "1124", true),
            (&["[2-57]xxx"], "7123", true),
            (&["[2-57]xxx"], "6123", false),
            (&["911", "9x.T"], "911", false),
            (&["*xx#"], "*21#", true),
            (&["+1xxxxxxxxxx"], "+13175550100", true),
            (&["0x.#"], "0#", true),
            (&["0x.#"], "0123#", true),
            (&["0x."], "0123", false),
            (&["xxxT"], "123", false),
            (&[], "123", false),
            (&["112"], "", false),
            (&["112"], "11a", false),
        ] {
            assert_eq!(
                map(patterns).is_complete(number),
                complete,
                "{patterns:?} {number}"
            );
        }
    }

    #[test]
    fn unreadable_patterns_say_where() {
        for (pattern, at) in [
            ("", 1),
            ("T", 1),
            ("1a", 2),
            ("12T3", 4),
            (".1", 1),
            ("1..", 3),
            ("1[", 2),
            ("1[]", 2),
            ("[5-2]", 1),
            ("[*-2]", 1),
            ("012345678901234567890123456789012", 33),
        ] {
            assert_eq!(
                DigitMap::parse(&[pattern]).expect_err(pattern).at,
                at,
                "{pattern}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(pattern in "[0-9*#+x.T\\[\\]é-]{0,40}", number in "[0-9*#+é]{0,40}") {
            if let Ok(map) = DigitMap::parse(&[pattern]) {
                map.is_complete(&number);
            }
        }
    }
}
