//! TURN on a stream (RFC 8656 section 12.5, RFC 8489 section 6.2.2): where one message ends and the next begins.

use bytes::{Buf, Bytes, BytesMut};

/// Longest message taken, bytes: a full Ethernet frame of media and its TURN header are below 2000.
pub(super) const MAX_MESSAGE: usize = 4096;
/// STUN header (RFC 8489 section 5) and ChannelData header (RFC 8656 section 12.4), bytes.
const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;

/// What came is neither STUN nor ChannelData, or too long: from here on nothing in the stream can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent what is not TURN")]
pub(super) struct NotTurn;

/// Takes the next whole message off `stream`, without its padding; `None` if there is none yet.
pub(super) fn next(stream: &mut BytesMut) -> Result<Option<Bytes>, NotTurn> {
    let Some(header) = stream.first_chunk() else {
        return Ok(None);
    };
    let (length, padding) = measure(*header).ok_or(NotTurn)?;
    if length > MAX_MESSAGE {
        return Err(NotTurn);
    }
    if stream.len() < length + padding {
        return Ok(None);
    }
    let message = stream.split_to(length).freeze();
    stream.advance(padding);
    Ok(Some(message))
}

/// Appends `message`, a datagram of the ICE agent's, to `stream` as it goes over a stream; one that is neither STUN nor
/// ChannelData is left out.
pub(super) fn put(message: &[u8], stream: &mut Vec<u8>) {
    let Some((length, padding)) = message.first_chunk().and_then(|header| measure(*header)) else {
        return;
    };
    // A datagram may carry bytes behind the message it holds (RFC 8656 section 12.5 lets it be padded).
    let Some(message) = message.get(..length) else {
        return;
    };
    stream.extend_from_slice(message);
    stream.resize(stream.len() + padding, 0);
}

/// Length of a message and of the padding behind it, from its first four bytes.
fn measure(header: [u8; 4]) -> Option<(usize, usize)> {
    let body = usize::from(u16::from_be_bytes([header[2], header[3]]));
    match header[0] {
        0x00..=0x3f if body.is_multiple_of(4) => Some((STUN_HEADER + body, 0)),
        0x40..=0x4f => Some((CHANNEL_HEADER + body, body.wrapping_neg() % 4)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stun(body: usize) -> Vec<u8> {
        let mut message = vec![0x01, 0x01];
        message.extend((body as u16).to_be_bytes());
        message.resize(STUN_HEADER + body, 0xaa);
        message
    }

    fn channel_data(payload: usize) -> Vec<u8> {
        let mut message = vec![0x40, 0x01];
        message.extend((payload as u16).to_be_bytes());
        message.resize(CHANNEL_HEADER + payload, 0xbb);
        message
    }

    #[test]
    fn channel_data_is_padded_on_a_stream_and_stun_is_not() {
        let check = |message: &[u8], length| {
            let mut out = Vec::new();
            put(message, &mut out);
            assert_eq!(out.len(), length, "{message:?}");
        };
        check(&stun(0), 20);
        check(&stun(8), 28);
        for (payload, length) in [(0, 4), (1, 8), (2, 8), (3, 8), (4, 8), (5, 12)] {
            check(&channel_data(payload), length);
        }
        // Padded already, as a client may do on UDP too.
        check(&[&channel_data(1)[..], &[0, 0, 0]].concat(), 8);
        // RTP, a piece of a message, nothing.
        check(&[0x80, 0, 0, 0], 0);
        check(&stun(8)[..27], 0);
        check(&[], 0);
    }

    #[test]
    fn what_is_not_turn_ends_the_stream() {
        let check = |bytes: &[u8]| assert_eq!(next(&mut BytesMut::from(bytes)), Err(NotTurn));
        check(b"HTTP/1.1 400 Bad Request");
        check(&[0x01, 0x01, 0, 3]); // STUN is a multiple of four
        check(&[0x50, 0, 0, 0]); // a channel number that is not given out (RFC 8656 section 12)
        check(&[0x40, 0, 0xff, 0xff]); // longer than anything a phone is sent
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            sizes in proptest::collection::vec((any::<bool>(), 0usize..300), 0..20),
            cut in 1usize..50,
        ) {
            let messages: Vec<_> = sizes
                .iter()
                .map(|(is_stun, size)| if *is_stun { stun(size / 4 * 4) } else { channel_data(*size) })
                .collect();
            let mut wire = Vec::new();
            for message in &messages {
                put(message, &mut wire);
            }
            let (mut stream, mut found) = (BytesMut::new(), Vec::new());
            for piece in wire.chunks(cut) {
                stream.extend_from_slice(piece);
                while let Some(message) = next(&mut stream).expect("TURN") {
                    found.push(message.to_vec());
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert!(stream.is_empty());
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next(&mut stream) {}
            put(&bytes, &mut Vec::new());
        }
    }
}
