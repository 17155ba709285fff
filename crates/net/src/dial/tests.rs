use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn a_connection_leaves_from_the_source_asked_for_with_nodelay() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
        panic!("IPv6 listener")
    };
    let stream = dial(to, Some(Ipv6Addr::LOCALHOST), soon()).await.unwrap();
    assert_eq!(stream.local_addr().unwrap().ip(), Ipv6Addr::LOCALHOST);
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn who_speaks_first_and_who_does_not_are_both_heard() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
        panic!("IPv6 listener")
    };
    let mut near = dial_to_speak(to, Some(Ipv6Addr::LOCALHOST), soon())
        .await
        .unwrap();
    // Accepted although nothing was said yet: the acknowledgement is late, not missing.
    let (mut far, _) = listener.accept().await.unwrap();
    far.write_all(b"220 ready").await.unwrap();
    let mut heard = [0; 9];
    near.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 ready");
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
        panic!("IPv6 listener")
    };
    drop(listener);
    assert!(matches!(
        dial(to, None, soon()).await,
        Err(DialError::Refused { .. })
    ));
}

#[test]
fn each_errno_has_its_own_meaning_per_call() {
    let to: SocketAddrV6 = "[2001:db8::1]:80".parse().unwrap();
    let from: Ipv6Addr = "2001:db8::2".parse().unwrap();
    let connect = |errno: Errno| connect_error(errno.into(), from, to);
    assert!(matches!(
        connect(Errno::EADDRNOTAVAIL),
        DialError::TuplePorts { .. }
    ));
    assert!(matches!(connect(Errno::ENETUNREACH), DialError::NoRoute { .. }));
    assert!(matches!(
        connect(Errno::EHOSTUNREACH),
        DialError::Unreachable { .. }
    ));
    assert!(matches!(connect(Errno::EACCES), DialError::Prohibited { .. }));
    assert!(matches!(connect(Errno::EPERM), DialError::Firewall { .. }));
    assert!(matches!(connect(Errno::ETIMEDOUT), DialError::TimedOut { .. }));
    assert!(matches!(connect(Errno::EINVAL), DialError::Other { .. }));
    assert!(matches!(
        socket_error(Errno::EMFILE.into(), to),
        DialError::ProcessFiles
    ));
    assert!(matches!(
        socket_error(Errno::ENFILE.into(), to),
        DialError::SystemFiles
    ));
    assert!(connect(Errno::EADDRNOTAVAIL).hint().is_some());
}

#[test]
fn no_address_to_choose_is_told_from_no_port_left() {
    let to: SocketAddrV6 = "[2001:db8::1]:80".parse().unwrap();
    let off = || Ipv6::Off {
        settings: vec!["net.ipv6.conf.eth0.disable_ipv6".to_owned()],
    };
    let chosen = Ipv6Addr::UNSPECIFIED;
    let error = address_not_available(chosen, to, off());
    assert!(error.to_string().contains("eth0.disable_ipv6 is 1"), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "switch it on: `sudo sysctl -w net.ipv6.conf.eth0.disable_ipv6=0`"
    );
    assert!(matches!(
        address_not_available(chosen, to, Ipv6::NoAddress),
        DialError::NoAddress { .. }
    ));
    for (from, to, ipv6) in [
        (chosen, to, Ipv6::On),
        ("2001:db8::2".parse().unwrap(), to, off()),
        (chosen, "[::1]:80".parse().unwrap(), off()),
    ] {
        let error = address_not_available(from, to, ipv6);
        assert!(matches!(error, DialError::TuplePorts { .. }), "{error}");
    }
}

#[test]
fn the_hint_of_a_far_host_that_is_gone_does_not_lead_to_the_default_route() {
    let to: SocketAddrV6 = "[2001:db8::dead]:443".parse().unwrap();
    let error = connect_error(Errno::EHOSTUNREACH.into(), Ipv6Addr::UNSPECIFIED, to);
    assert_eq!(error.code(), Code::Unreachable);
    assert!(!error.hint().unwrap().contains("default"), "{error}");
}
