use super::*;
use crate::media::IceServer;
use crate::media::sdp::Candidate;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

fn bridges(urls: &[&str]) -> Arc<Bridges> {
    let config = PeerConfig {
        ice_servers: urls
            .iter()
            .map(|url| IceServer {
                url: (*url).to_owned(),
                username: "u".to_owned(),
                credential: "p".to_owned().into(),
            })
            .collect(),
        ..Default::default()
    };
    Bridges::new(&config, true)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// An Allocate request with that transaction.
fn allocate(transaction: u8) -> Vec<u8> {
    let mut message = vec![0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend([transaction; 12]);
    message
}

/// An answer that gives 192.0.2.15:50000.
fn allocated() -> Vec<u8> {
    let mut message = allocate(0);
    message[0] = 1;
    message[3] = 12;
    message.extend([0, 0x16, 0, 8, 0, 1, 0xe2, 0x42, 0xe1, 0x12, 0xa6, 0x4d]);
    message
}

fn refused() -> Vec<u8> {
    let mut message = allocate(0);
    message[..4].copy_from_slice(&[1, 0x13, 0, 12]);
    message.extend([0, 9, 0, 8, 0, 0, 4, 1]);
    message.extend(b"Nope");
    message
}

#[test]
fn the_stack_gets_stand_ins_for_servers_on_streams() {
    let check = |urls: &[&str], expected: &[&str]| {
        let found: Vec<String> = bridges(urls)
            .for_stack()
            .into_iter()
            .flat_map(|server| server.urls)
            .collect();
        assert_eq!(found, expected, "{urls:?}");
    };
    check(
        &[
            "stun:a:1",
            "turn:b:2",
            "turn:c:3?transport=tcp",
            "turns:d:4",
        ],
        &[
            "stun:a:1",
            "turn:b:2",
            "turn:192.0.0.8:1",
            "turn:192.0.0.8:2",
        ],
    );
    // STUN over a stream says nothing about UDP; DTLS to a server is not supported by any; nonsense.
    check(
        &[
            "stuns:a",
            "stun:a?transport=tcp",
            "turns:a?transport=udp",
            "nonsense",
            "turns:b",
        ],
        &["turn:192.0.0.8:1"],
    );
    let over_ipv6 = Bridges::new(
        &PeerConfig {
            ice_servers: vec![IceServer {
                url: "turns:a".into(),
                username: String::new(),
                credential: String::new().into(),
            }],
            ..Default::default()
        },
        false,
    );
    assert_eq!(over_ipv6.for_stack()[0].urls, ["turn:[100::8]:1"]);
}

#[test]
fn udp_is_preferred_to_tcp_and_tcp_to_tls() {
    let told = |from: &str| {
        let bridges = bridges(&["turn:a?transport=tcp", "turns:b", "turn:c"]);
        bridges.observe(address(from), &allocated());
        let line = "candidate:1 1 udp 16777215 192.0.2.15 50000 typ relay raddr 10.0.0.1 rport 9";
        bridges.priority(&Candidate::parse(line).expect("a candidate"))
    };
    let (udp, tcp, tls) = (
        told("203.0.113.1:3478"),
        told("192.0.0.8:1"),
        told("192.0.0.8:2"),
    );
    assert_eq!(udp, 16_777_215);
    assert!(udp > tcp && tcp > tls && tls > 0, "{udp} {tcp} {tls}");
    // Below every server-reflexive one still.
    assert!(udp < 100 << 24);
}

#[test]
fn trouble_is_told_server_by_server() {
    let check = |bridges: &Bridges, expected: &str| assert_eq!(bridges.trouble(), expected);
    check(&bridges(&["stun:a"]), "none is offered");
    let bridges = bridges(&["turn:a", "turn:b?transport=tcp", "turns:c"]);
    check(
        &bridges,
        "turn:b?transport=tcp: it does not answer; turns:c: it does not answer; turn:a: it does not answer",
    );
    bridges.observe(address("192.0.0.8:1"), &refused());
    bridges.observe(address("203.0.113.1:3478"), &refused());
    bridges.note(address("192.0.0.8:2"), "it closed".into());
    check(
        &bridges,
        "turn:b?transport=tcp: it refuses the user name or the password (401 Nope); turns:c: it closed; \
         turn:203.0.113.1:3478: it refuses the user name or the password (401 Nope)",
    );
    bridges.observe(address("192.0.0.8:1"), &allocated());
    assert!(
        !bridges
            .trouble()
            .contains("turn:b?transport=tcp: it refuses")
    );
}

#[tokio::test]
async fn a_request_goes_out_once_and_a_broken_connection_is_an_error() {
    // A stack that repeats its request on a reliable stream would be refused its second allocation (437).
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let bridges = bridges(&[&format!("turn:127.0.0.1:{port}?transport=tcp")]);
    let socket = SocketBridge::new(Arc::clone(&bridges));
    let stand_in = address("192.0.0.8:1");
    assert!(
        socket.send(address("127.0.0.1:1"), b"x").is_none(),
        "an ordinary datagram"
    );
    assert!(
        socket.send(address("192.0.0.8:2"), b"x").is_none(),
        "no such server"
    );
    for transaction in [1, 1, 2, 1, 2, 3] {
        let sent = socket.send(stand_in, &allocate(transaction));
        assert!(matches!(sent, Some(Ok(()))), "{sent:?}");
    }
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut came = [0; 60];
    stream.read_exact(&mut came).await.expect("three requests");
    assert_eq!(came[..], [allocate(1), allocate(2), allocate(3)].concat());

    tokio::io::AsyncWriteExt::write_all(&mut stream, &refused())
        .await
        .expect("an answer");
    let mut buffer = [0; 1500];
    let (from, length) = std::future::poll_fn(|cx| socket.poll_recv(cx, &mut buffer)).await;
    assert_eq!((from, &buffer[..length]), (stand_in, &refused()[..]));
    // One that does not fit is dropped, not cut.
    for _ in 0..2 {
        tokio::io::AsyncWriteExt::write_all(&mut stream, &refused())
            .await
            .expect("an answer");
    }
    tokio::io::AsyncWriteExt::write_all(&mut stream, &allocate(9))
        .await
        .expect("an answer");
    let mut small = [0; 20];
    let (_, length) = std::future::poll_fn(|cx| socket.poll_recv(cx, &mut small)).await;
    assert_eq!(small[..length], allocate(9));

    drop(stream);
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while let Some(Ok(())) = socket.send(stand_in, &[0x40, 0, 0, 0]) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the end is noticed");
    assert!(
        // Which of the two directions finds out first is chance.
        ["it closed", "broke"]
            .iter()
            .any(|why| bridges.trouble().contains(why)),
        "{}",
        bridges.trouble()
    );
}

#[test]
fn a_request_that_was_lost_on_the_way_may_be_repeated() {
    // Without this a request dropped from a full queue is taken for one that the server has: no relay ever comes.
    let (outbound, mut queue) = mpsc::channel(1);
    let mut link = Link {
        outbound,
        requests: VecDeque::new(),
    };
    for transaction in [1, 2] {
        link.send(&allocate(transaction)).expect("open");
    }
    assert_eq!(queue.try_recv().ok().as_deref(), Some(&allocate(1)[..]));
    let mut repeated = || {
        link.send(&allocate(2)).expect("open");
        queue.try_recv().ok()
    };
    assert_eq!(repeated().as_deref(), Some(&allocate(2)[..]));
    assert_eq!(repeated(), None);
}
