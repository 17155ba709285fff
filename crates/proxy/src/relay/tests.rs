use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[derive(Default)]
struct Count {
    up: AtomicU64,
    down: AtomicU64,
    limit: Option<u64>,
}

impl Meter for Count {
    fn moved(&self, up: u64, down: u64) -> Result<(), Refusal> {
        let up = self.up.fetch_add(up, Ordering::Relaxed) + up;
        let down = self.down.fetch_add(down, Ordering::Relaxed) + down;
        match self.limit {
            Some(limit) if up + down > limit => Err(Refusal::Idle),
            _ => Ok(()),
        }
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

struct Tunnel {
    client: TcpStream,
    destination: TcpStream,
    relay: tokio::task::JoinHandle<(End, Count)>,
}

async fn tunnel(early: &[u8], idle: Duration, limit: Option<u64>) -> Tunnel {
    tunnel_of(early, Lifetime { idle, age: None }, limit).await
}

async fn tunnel_of(early: &[u8], lifetime: Lifetime, limit: Option<u64>) -> Tunnel {
    let (client, near) = pair().await;
    let (mut far, destination) = pair().await;
    let early = Early {
        up: early.to_vec(),
        down: Vec::new(),
    };
    let relay = tokio::spawn(async move {
        let count = Count {
            limit,
            ..Count::default()
        };
        let mut near = ClientStream::Tcp(near);
        let end = relay(&mut near, &mut far, early, lifetime, &count).await;
        (end, count)
    });
    Tunnel {
        client,
        destination,
        relay,
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn bulk_arrives_unchanged_both_ways_at_once() {
    let Tunnel {
        client,
        destination,
        relay,
    } = tunnel(b"", LONG, None).await;
    let size = 24 * 1024 * 1024;
    let pattern = |seed: usize| -> Vec<u8> {
        (0..size)
            .map(|n| ((n * 31 + n / 251 + seed) % 256) as u8)
            .collect()
    };
    let (up, down) = (pattern(1), pattern(2));
    let (mut client_in, mut client_out) = client.into_split();
    let (mut destination_in, mut destination_out) = destination.into_split();
    let (up_copy, down_copy) = (up.clone(), down.clone());
    let send_up = async move {
        client_out.write_all(&up_copy).await.unwrap();
        client_out.shutdown().await.unwrap();
        client_out
    };
    let send_down = async move {
        destination_out.write_all(&down_copy).await.unwrap();
        destination_out.shutdown().await.unwrap();
        destination_out
    };
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    let (_keep, _open, read_up, read_down) = tokio::join!(
        send_up,
        send_down,
        destination_in.read_to_end(&mut got_up),
        client_in.read_to_end(&mut got_down)
    );
    assert_eq!((read_up.unwrap(), read_down.unwrap()), (size, size));
    assert!(got_up == up && got_down == down);
    let (end, count) = relay.await.unwrap();
    assert!(matches!(end, End::Closed), "{end:?}");
    assert_eq!(
        (count.up.into_inner(), count.down.into_inner()),
        (size as u64, size as u64)
    );
}

#[tokio::test]
async fn a_tunnel_that_waits_holds_no_pipe_whatever_it_carried_before() {
    let mut tunnel = tunnel(b"", LONG, None).await;
    assert_eq!(splice::spare_pipes(), 0);
    // What is small after bulk goes through a pipe once more, and then through none.
    for size in [8 * 1024 * 1024, 10, 10] {
        let bytes = vec![7; size];
        let mut got = vec![0; size];
        let (sent, read) = tokio::join!(
            tunnel.destination.write_all(&bytes),
            tunnel.client.read_exact(&mut got)
        );
        sent.unwrap();
        read.unwrap();
        assert!(got == bytes);
        let given_back = async {
            while splice::spare_pipes() != 1 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(LONG, given_back).await;
        assert!(waited.is_ok(), "a pipe is held after {size} bytes");
    }
}

#[tokio::test]
async fn a_half_close_is_passed_on_and_the_other_way_stays_open() {
    let mut tunnel = tunnel(b"ear", LONG, None).await;
    tunnel.client.write_all(b"ly").await.unwrap();
    tunnel.client.shutdown().await.unwrap();
    let mut got = Vec::new();
    tunnel.destination.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"early");
    tunnel.destination.write_all(b"answer").await.unwrap();
    drop(tunnel.destination);
    let mut answer = Vec::new();
    tunnel.client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
    assert!(matches!(tunnel.relay.await.unwrap().0, End::Closed));
}

#[tokio::test]
async fn a_receiver_that_does_not_read_stops_the_sender() {
    let mut tunnel = tunnel(b"", LONG, None).await;
    let chunk = vec![7; 64 * 1024];
    let mut sent = 0;
    // The socket buffers fill; without back-pressure this would go on for ever.
    while tokio::time::timeout(Duration::from_millis(500), tunnel.client.write_all(&chunk))
        .await
        .is_ok()
    {
        sent += chunk.len();
        assert!(sent < 256 * 1024 * 1024, "no back-pressure");
    }
    let mut received = vec![0; sent];
    tunnel.destination.read_exact(&mut received).await.unwrap();
    assert!(received.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let mut tunnel = tunnel(b"", LONG, None).await;
    tunnel.destination.set_zero_linger().unwrap();
    drop(tunnel.destination);
    let error = tunnel.client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(tunnel.relay.await.unwrap().0, End::Destination(_)));
}

#[tokio::test]
async fn an_idle_tunnel_is_closed() {
    let mut tunnel = tunnel(b"", Duration::from_millis(200), None).await;
    assert!(tunnel.client.read(&mut [0; 8]).await.is_err());
    assert!(matches!(tunnel.relay.await.unwrap().0, End::Idle));
}

#[tokio::test]
async fn a_meter_may_end_the_relay() {
    let mut tunnel = tunnel(b"", LONG, Some(10)).await;
    tunnel.client.write_all(&[0; 11]).await.unwrap();
    assert!(matches!(tunnel.relay.await.unwrap().0, End::Refused(_)));
}

#[tokio::test]
async fn an_old_tunnel_is_ended_at_a_quiet_moment_and_in_the_end_whatever_passes() {
    let lifetime = Lifetime {
        idle: LONG,
        age: Some(Duration::from_millis(50)),
    };
    let mut quiet = tunnel_of(b"", lifetime, None).await;
    // The end is one, and no reset.
    assert_eq!(quiet.client.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(matches!(quiet.relay.await.unwrap().0, End::Aged));

    let mut busy = tunnel_of(b"", lifetime, None).await;
    let writing = async {
        while busy.destination.write_all(b"more").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let mut all = Vec::new();
        let _ = busy.client.read_to_end(&mut all).await;
        all.len()
    };
    let ended = async {
        let end = busy.relay.await.unwrap().0;
        assert!(matches!(end, End::Aged), "{end:?}");
    };
    let (read, (), ()) = tokio::join!(reading, writing, ended);
    assert!(read > 4, "{read}");
}
