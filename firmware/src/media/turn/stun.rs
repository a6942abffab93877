//! As much of STUN as tells how an allocation went, and one transaction from another (RFC 8489 sections 5 and 14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a header; bytes of a transaction id.
const HEADER: usize = 20;
const TRANSACTION_ID: usize = 12;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const ALLOCATE_SUCCESS: u16 = 0x0103;
const ALLOCATE_ERROR: u16 = 0x0113;
const ERROR_CODE: u16 = 0x0009;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;

/// How the server answered an Allocate request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allocation {
    /// It relays from this address.
    Made(SocketAddr),
    /// It does not; error code (RFC 8489 section 14.8) and its words.
    Refused(u16, String),
}

/// The outcome in `datagram`, if it is the answer to an Allocate request.
pub(super) fn allocation(datagram: &[u8]) -> Option<Allocation> {
    let kind = u16::from_be_bytes(*datagram.first_chunk()?);
    match kind {
        ALLOCATE_SUCCESS => {
            let transaction = transaction_id(datagram)?;
            relayed(attribute(datagram, XOR_RELAYED_ADDRESS)?, transaction).map(Allocation::Made)
        }
        ALLOCATE_ERROR => {
            let [_, _, class, number, reason @ ..] = attribute(datagram, ERROR_CODE)? else {
                return None;
            };
            let code = u16::from(class & 7) * 100 + u16::from(*number);
            // Its words go to the log and to the page.
            let reason: String = String::from_utf8_lossy(reason)
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect();
            Some(Allocation::Refused(code, reason))
        }
        _ => None,
    }
}

/// The transaction of a request (class bits 00, section 5).
pub(super) fn request(datagram: &[u8]) -> Option<[u8; TRANSACTION_ID]> {
    let kind = u16::from_be_bytes(*datagram.first_chunk()?);
    (kind & 0xc110 == 0)
        .then(|| transaction_id(datagram))
        .flatten()
}

fn transaction_id(datagram: &[u8]) -> Option<[u8; TRANSACTION_ID]> {
    datagram.get(8..HEADER)?.try_into().ok()
}

fn attribute(datagram: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = datagram.get(HEADER..)?;
    loop {
        let [kind_high, kind_low, length_high, length_low, after @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let value = after.get(..length)?;
        if u16::from_be_bytes([*kind_high, *kind_low]) == wanted {
            return Some(value);
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
}

/// Section 14.2: the port is XORed with the cookie's first half, the address with the cookie and the transaction id.
fn relayed(value: &[u8], transaction: [u8; TRANSACTION_ID]) -> Option<SocketAddr> {
    let [_, family, port_high, port_low, address @ ..] = value else {
        return None;
    };
    let port = u16::from_be_bytes([*port_high, *port_low]) ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match family {
        1 => {
            let bits = u32::from_be_bytes(address.try_into().ok()?);
            IpAddr::V4(Ipv4Addr::from_bits(bits ^ MAGIC_COOKIE))
        }
        2 => {
            let bits = u128::from_be_bytes(address.try_into().ok()?);
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&transaction);
            IpAddr::V6(Ipv6Addr::from_bits(bits ^ u128::from_be_bytes(mask)))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRANSACTION: [u8; 12] = [7; 12];

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE.to_be_bytes());
        message.extend(TRANSACTION);
        message.extend(body);
        message
    }

    #[test]
    fn the_relayed_address_is_read() {
        // 192.0.2.15:50000, the numbers of RFC 8656 section 20.
        let address = [0, 1, 0xe2, 0x42, 0xe1, 0x12, 0xa6, 0x4d];
        let answer = message(0x0103, &[(0x000d, &[0, 0, 4, 176]), (0x0016, &address)]);
        let expected = "192.0.2.15:50000".parse().expect("an address");
        assert_eq!(allocation(&answer), Some(Allocation::Made(expected)));

        let bits = Ipv6Addr::from_bits(0x2001_0db8 << 96 | 1).to_bits();
        let mut mask = [0; 16];
        mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        mask[4..].copy_from_slice(&TRANSACTION);
        let mut address = vec![0, 2, 0xe2, 0x42];
        address.extend((bits ^ u128::from_be_bytes(mask)).to_be_bytes());
        let expected = "[2001:db8::1]:50000".parse().expect("an address");
        assert_eq!(
            allocation(&message(0x0103, &[(0x0016, &address)])),
            Some(Allocation::Made(expected))
        );
    }

    #[test]
    fn refusals_are_read() {
        let refusal = message(
            0x0113,
            &[(0x8022, b"srv"), (0x0009, b"\0\0\x04\x01Unauth\norized")],
        );
        assert_eq!(
            allocation(&refusal),
            Some(Allocation::Refused(401, "Unauthorized".into()))
        );
        assert_eq!(allocation(&message(0x0101, &[])), None);
        assert_eq!(allocation(&message(0x0113, &[])), None);
        assert_eq!(allocation(&refusal[..30]), None);
    }

    #[test]
    fn only_requests_have_a_transaction_that_may_be_sent_again() {
        let check = |kind, expected| assert_eq!(request(&message(kind, &[])), expected, "{kind:x}");
        check(0x0003, Some(TRANSACTION)); // Allocate
        check(0x0009, Some(TRANSACTION)); // ChannelBind
        check(0x0016, None); // Send indication
        check(0x0103, None);
        check(0x4001, None); // ChannelData
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), success in any::<bool>()) {
            let _ = (allocation(&bytes), request(&bytes));
            let mut answer = message(if success { 0x0103 } else { 0x0113 }, &[]);
            answer.extend(&bytes);
            let _ = allocation(&answer);
        }
    }
}
