//! Packets waiting for their turn, in order.

use crate::audio::codec::Payload;

/// Packets held at most: 1.28 s of 20 ms packets. The oldest is dropped for a newer one beyond.
pub const CAPACITY: usize = 64;

/// A packet's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Extended sequence number.
    pub sequence: i64,
    /// Extended timestamp, samples at 48 kHz.
    pub timestamp: i64,
}

/// A window of [`CAPACITY`] sequence numbers; a packet's slot is its number modulo the capacity.
pub struct PacketRing {
    /// Apart from the payloads, so that looking for the first one stays within a few cache lines.
    places: [Option<Place>; CAPACITY],
    payloads: Box<[Payload]>,
    held: usize,
}

impl PacketRing {
    /// Empty; allocates.
    pub fn new() -> Self {
        Self {
            places: [None; CAPACITY],
            payloads: (0..CAPACITY).map(|_| Payload::new()).collect(),
            held: 0,
        }
    }

    /// Packets held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Puts a packet in its slot. The packet that was there, a whole window older or newer, is dropped; true if
    /// there was one.
    pub fn insert(&mut self, place: Place, payload: Payload) -> bool {
        let slot = slot(place.sequence);
        self.payloads[slot] = payload;
        let dropped = self.places[slot].replace(place).is_some();
        self.held += usize::from(!dropped);
        dropped
    }

    /// The packet with the lowest number.
    pub fn first(&self) -> Option<Place> {
        if self.held == 0 {
            return None;
        }
        self.places
            .iter()
            .flatten()
            .min_by_key(|place| place.sequence)
            .copied()
    }

    /// The packet with the highest number.
    pub fn last(&self) -> Option<Place> {
        self.places
            .iter()
            .flatten()
            .max_by_key(|place| place.sequence)
            .copied()
    }

    /// What the packet with this number carries; empty if it is not here.
    pub fn payload(&self, sequence: i64) -> &[u8] {
        let slot = slot(sequence);
        match self.places[slot] {
            Some(place) if place.sequence == sequence => &self.payloads[slot],
            _ => &[],
        }
    }

    /// Drops the packet with this number.
    pub fn remove(&mut self, sequence: i64) {
        let slot = &mut self.places[slot(sequence)];
        self.held -= usize::from(slot.take_if(|place| place.sequence == sequence).is_some());
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.places.fill(None);
        self.held = 0;
    }
}

fn slot(sequence: i64) -> usize {
    sequence.rem_euclid(CAPACITY as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(ring: &mut PacketRing, sequence: i64) -> bool {
        let payload = Payload::from_slice(&[sequence as u8]).unwrap();
        ring.insert(
            Place {
                sequence,
                timestamp: sequence * 960,
            },
            payload,
        )
    }

    #[test]
    fn gives_them_back_in_order() {
        let mut ring = PacketRing::new();
        for sequence in [70, 66, 128, 67] {
            assert!(!insert(&mut ring, sequence));
        }
        let mut order = Vec::new();
        while let Some(Place { sequence, .. }) = ring.first() {
            assert_eq!(ring.payload(sequence), [sequence as u8]);
            ring.remove(sequence);
            assert!(ring.payload(sequence).is_empty());
            order.push(sequence);
        }
        assert_eq!(order, [66, 67, 70, 128]);
        assert_eq!(ring.len(), 0);
    }

    #[test]
    fn a_newer_packet_pushes_out_the_one_a_window_older() {
        let mut ring = PacketRing::new();
        for sequence in 0..CAPACITY as i64 {
            assert!(!insert(&mut ring, sequence));
        }
        assert!(insert(&mut ring, CAPACITY as i64));
        assert_eq!((ring.len(), ring.first().unwrap().sequence), (CAPACITY, 1));
        assert_eq!(ring.last().unwrap().sequence, CAPACITY as i64);
        ring.remove(0);
        assert_eq!(ring.len(), CAPACITY);
        ring.clear();
        assert_eq!((ring.first(), ring.last()), (None, None));
    }
}
