//! CPU time that TLS 1.3 costs a client over memory: `providers ring|aws-lc-rs first|full|resumed|bytes COUNT`.
//!
//! The server is rustls with ring in any case. Printed is microseconds per handshake, for `first` of the one that is the
//! first of its process, and for `bytes` microseconds per megabyte received.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A megabyte, and what is sent at once.
const MEGABYTE: usize = 1 << 20;
const PIECE: usize = 16 << 10;

/// CPU time of this thread, in microseconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Both with the same suites and the same key exchange.
fn of_classical(mut provider: CryptoProvider) -> Arc<CryptoProvider> {
    provider
        .kx_groups
        .retain(|group| group.name() == rustls::NamedGroup::X25519);
    provider.into()
}

fn configs(client: Arc<CryptoProvider>) -> Outcome<(Arc<ClientConfig>, Arc<ServerConfig>)> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let client = ClientConfig::builder_with_provider(client)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = ServerConfig::builder_with_provider(of_classical(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    server.ticketer = ring::Ticketer::new()?;
    Ok((client.into(), server.into()))
}

/// Two ends, and the CPU time of the client's.
struct Ends {
    client: ClientConnection,
    server: ServerConnection,
    used: f64,
}

impl Ends {
    fn shake_hands(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Outcome<Self> {
        let server = ServerConnection::new(Arc::clone(server))?;
        let began = cpu();
        let client = ClientConnection::new(Arc::clone(client), ServerName::try_from("localhost")?)?;
        let mut ends = Self {
            client,
            server,
            used: cpu() - began,
        };
        while ends.client.is_handshaking() || ends.server.is_handshaking() {
            ends.to_server()?;
            ends.to_client()?;
        }
        // The tickets.
        ends.to_client()?;
        Ok(ends)
    }

    fn to_server(&mut self) -> Outcome<()> {
        let mut wire = Vec::new();
        let began = cpu();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire)?;
        }
        self.used += cpu() - began;
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            self.server.read_tls(&mut wire)?;
            self.server.process_new_packets()?;
        }
        Ok(())
    }

    fn to_client(&mut self) -> Outcome<()> {
        let mut wire = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut wire)?;
        }
        let began = cpu();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            self.client.read_tls(&mut wire)?;
            self.client.process_new_packets()?;
        }
        self.used += cpu() - began;
        Ok(())
    }

    fn receive(&mut self, bytes: usize) -> Outcome<()> {
        let (piece, mut read) = ([7; PIECE], [0; PIECE]);
        for _ in 0..bytes / PIECE {
            self.server.writer().write_all(&piece)?;
            self.to_client()?;
            let began = cpu();
            self.client.reader().read_exact(&mut read)?;
            self.used += cpu() - began;
        }
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [provider, what, count] = words.as_slice() else {
        return Err("ring|aws-lc-rs first|full|resumed|bytes COUNT".into());
    };
    let count: usize = count.parse()?;
    let (client, server) = configs(of_classical(match provider.as_str() {
        "ring" => ring::default_provider(),
        "aws-lc-rs" => aws_lc_rs::default_provider(),
        other => return Err(format!("no such provider: {other}").into()),
    }))?;
    let no_resumption = || {
        let mut config = ClientConfig::clone(&client);
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    };
    let used = match what.as_str() {
        "first" => Ends::shake_hands(&client, &server)?.used,
        "bytes" => {
            let mut ends = Ends::shake_hands(&client, &server)?;
            ends.receive(MEGABYTE)?;
            ends.used = 0.0;
            ends.receive(count * MEGABYTE)?;
            ends.used / count as f64
        }
        "full" | "resumed" => {
            let config = if what == "full" {
                no_resumption()
            } else {
                Arc::clone(&client)
            };
            Ends::shake_hands(&config, &server)?;
            let mut used = 0.0;
            for _ in 0..count {
                let ends = Ends::shake_hands(&config, &server)?;
                let is_full = ends.client.handshake_kind() == Some(rustls::HandshakeKind::Full);
                if is_full != (what == "full") {
                    return Err("a handshake of the other kind".into());
                }
                used += ends.used;
            }
            used / count as f64
        }
        other => return Err(format!("no such work: {other}").into()),
    };
    println!("{used:.1}");
    Ok(())
}
