//! Packets waiting for their turn, in order.

use crate::audio::codec::Payload;

/// Packets held at most: 1.28 s of 20 ms packets. The oldest is dropped for a newer one beyond.
pub const CAPACITY: usize = 64;

/// A packet in its place.
#[derive(Debug)]
pub struct Held {
    /// Extended sequence number.
    pub sequence: i64,
    /// Extended timestamp, samples at 48 kHz.
    pub timestamp: i64,
    /// Encoded audio.
    pub payload: Payload,
}

/// A window of [`CAPACITY`] sequence numbers; a packet's place is its number modulo the capacity.
pub struct PacketRing {
    slots: Box<[Option<Held>]>,
    held: usize,
}

impl PacketRing {
    /// Empty; allocates.
    pub fn new() -> Self {
        Self {
            slots: (0..CAPACITY).map(|_| None).collect(),
            held: 0,
        }
    }

    /// Packets held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Puts a packet in its place. The packet that was there, a whole window older or newer, is dropped; true if
    /// there was one.
    pub fn insert(&mut self, packet: Held) -> bool {
        let slot = &mut self.slots[index(packet.sequence)];
        let dropped = slot.replace(packet).is_some();
        self.held += usize::from(!dropped);
        dropped
    }

    /// The packet with the lowest number.
    pub fn first(&self) -> Option<&Held> {
        self.slots.iter().flatten().min_by_key(|held| held.sequence)
    }

    /// The packet with the highest number.
    pub fn last(&self) -> Option<&Held> {
        self.slots.iter().flatten().max_by_key(|held| held.sequence)
    }

    /// Takes the packet with this number out.
    pub fn take(&mut self, sequence: i64) -> Option<Held> {
        let taken = self.slots[index(sequence)].take_if(|held| held.sequence == sequence);
        self.held -= usize::from(taken.is_some());
        taken
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.slots.fill_with(|| None);
        self.held = 0;
    }
}

fn index(sequence: i64) -> usize {
    sequence.rem_euclid(CAPACITY as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(sequence: i64) -> Held {
        Held {
            sequence,
            timestamp: sequence * 960,
            payload: Payload::new(),
        }
    }

    #[test]
    fn gives_them_back_in_order() {
        let mut ring = PacketRing::new();
        for sequence in [70, 66, 128, 67] {
            assert!(!ring.insert(held(sequence)));
        }
        let mut order = Vec::new();
        while let Some(sequence) = ring.first().map(|held| held.sequence) {
            order.push(ring.take(sequence).unwrap().sequence);
        }
        assert_eq!(order, [66, 67, 70, 128]);
        assert_eq!(ring.len(), 0);
    }

    #[test]
    fn a_newer_packet_pushes_out_the_one_a_window_older() {
        let mut ring = PacketRing::new();
        for sequence in 0..CAPACITY as i64 {
            assert!(!ring.insert(held(sequence)));
        }
        assert!(ring.insert(held(CAPACITY as i64)));
        assert_eq!((ring.len(), ring.first().unwrap().sequence), (CAPACITY, 1));
        assert_eq!(ring.last().unwrap().sequence, CAPACITY as i64);
        assert!(ring.take(0).is_none());
        ring.clear();
        assert!(ring.first().is_none());
    }
}
