//! A small map that forgets its oldest entry when it is full.

use std::collections::VecDeque;

pub(super) struct Recent<K, V> {
    entries: VecDeque<(K, V)>,
    capacity: usize,
}

impl<K: PartialEq + Clone, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: &K, value: V) {
        self.entries.retain(|(known, _)| known != key);
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back((key.clone(), value));
    }

    /// What is known, or the given value, known from now on.
    pub(super) fn get_or_insert(&mut self, key: &K, value: impl FnOnce() -> V) -> &V {
        let known = self.entries.iter().position(|(known, _)| known == key);
        let at = known.unwrap_or_else(|| {
            self.insert(key, value());
            self.entries.len() - 1
        });
        &self.entries[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn the_oldest_is_forgotten_and_the_first_value_stays() {
        let mut recent = Recent::new(2);
        assert_eq!(*recent.get_or_insert(&1, || "a"), "a");
        assert_eq!(*recent.get_or_insert(&1, || "b"), "a");
        recent.insert(&2, "c");
        recent.insert(&3, "d");
        assert_eq!(recent.get(&1), None);
        assert_eq!(recent.get(&2), Some(&"c"));
        recent.insert(&2, "e");
        assert_eq!(recent.get(&2), Some(&"e"));
    }
}
