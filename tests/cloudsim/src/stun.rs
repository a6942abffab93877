//! A STUN server with one answer: where the request came from (RFC 8489 section 2). The client
//! needs a stun service in extdisco, or it uses relays only (genesys-protocol 5.5, 12.2).

use std::io;
use std::net::SocketAddr;

use rtc::stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, TransactionId};
use rtc::stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;

/// Largest STUN message over UDP without knowing the path's MTU (RFC 8489 section 6.1).
const LARGEST: usize = 1280;

/// Answers binding requests until the task is dropped.
///
/// # Errors
/// If the socket fails for good.
pub async fn serve(socket: UdpSocket) -> io::Result<()> {
    let mut packet = [0_u8; LARGEST];
    loop {
        // A port-unreachable message for an earlier answer shows up here; the socket is fine.
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            continue;
        };
        if let Some(answer) = answer(&packet[..length], from) {
            socket.send_to(&answer, from).await?;
        }
    }
}

/// The answer to a binding request, nothing to anything else.
fn answer(packet: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let mut request = Message::new();
    request.unmarshal_binary(packet).ok()?;
    if request.typ != BINDING_REQUEST {
        return None;
    }
    let mapped = XorMappedAddress {
        ip: from.ip(),
        port: from.port(),
    };
    let mut response = Message::new();
    response
        .build(&[
            Box::new(TransactionId(request.transaction_id.0)),
            Box::new(BINDING_SUCCESS),
            Box::new(mapped),
        ])
        .ok()?;
    Some(response.raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::stun::message::Getter;

    #[test]
    fn a_request_learns_its_address_and_nonsense_learns_nothing() {
        let mut request = Message::new();
        request
            .build(&[Box::new(TransactionId::new()), Box::new(BINDING_REQUEST)])
            .unwrap();
        let from: SocketAddr = "192.0.2.7:4711".parse().unwrap();
        let mut response = Message::new();
        response
            .unmarshal_binary(&answer(&request.raw, from).unwrap())
            .unwrap();
        assert_eq!(response.typ, BINDING_SUCCESS);
        assert_eq!(response.transaction_id, request.transaction_id);
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&response).unwrap();
        assert_eq!((mapped.ip, mapped.port), (from.ip(), from.port()));
        assert_eq!(answer(b"hello", from), None);
        assert_eq!(answer(&response.raw, from), None);
    }
}
