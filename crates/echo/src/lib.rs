//! An HTTP server that tells callers their address, and refuses them on purpose for practice.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the caller's address as text; `{"address": …}` with `Accept: application/json` |
//! | `/items/ID` | a JSON document of about 320 bytes, the same for the same ID |
//! | `/healthz` | `ok`, never refused |
//!
//! It is the target of load tests: one current-thread runtime per thread with listeners of its own
//! (`SO_REUSEPORT`), nothing shared between threads, nothing logged per request, and a lock only where
//! a limit is set.

mod answer;
mod error;
mod limit;
mod listener;
mod serve;
mod tls;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

pub use error::EchoError;
pub use limit::{Limit, LimitAnswer, LimitScope};
pub use tls::Tls;

use limit::Limiter;
use listener::ThreadListeners;
use serve::Service;

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct EchoSettings {
    /// Where to listen. Port 0 lets the kernel choose.
    pub listen: Vec<SocketAddr>,
    /// TLS on every listener, or none.
    pub tls: Option<Tls>,
    /// From when on callers are refused.
    pub limit: Option<Limit>,
    /// How many threads serve, the caller of [`Echo::run_until`] included.
    pub threads: NonZeroUsize,
}

/// The server with its sockets bound: callers may connect, and are answered once it runs.
#[derive(Debug)]
pub struct Echo {
    addresses: Vec<SocketAddr>,
    certificate_pem: Option<String>,
    listeners: Vec<ThreadListeners>,
    service: Arc<Service>,
}

impl Echo {
    /// Makes the sockets, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`EchoError`] when an address cannot be listened on or the certificate cannot be used.
    pub fn bind(settings: &EchoSettings) -> Result<Self, EchoError> {
        let (addresses, listeners) = listener::bind(&settings.listen, settings.threads)?;
        let identity = settings
            .tls
            .as_ref()
            .map(|tls| tls::identity(tls, &addresses))
            .transpose()?;
        let (config, certificate_pem) = match identity {
            Some(identity) => (Some(identity.config), identity.self_signed_pem),
            None => (None, None),
        };
        Ok(Self {
            addresses,
            certificate_pem,
            listeners,
            service: Arc::new(Service::new(config, settings.limit.map(Limiter::new))),
        })
    }

    /// Where it listens, in the order of the settings, with the ports that the kernel chose.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The self-signed certificate, for callers that want to trust it.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate_pem.as_deref()
    }

    /// Serves on this thread and as many others as the settings say, until `stopped` is ready; then
    /// takes no more connections, lets requests that are under way be answered for a second at most,
    /// and returns.
    ///
    /// The other threads are children of this one and stay in its network namespace.
    ///
    /// # Errors
    /// [`EchoError::Start`] when a thread or its runtime cannot be made.
    pub fn run_until(mut self, stopped: impl Future<Output = ()>) -> Result<(), EchoError> {
        let (stop, _) = watch::channel(());
        let own = self.listeners.pop().ok_or(EchoError::NothingToListenOn)?;
        let others = self
            .listeners
            .into_iter()
            .map(|listeners| {
                let service = Arc::clone(&self.service);
                let mut stopping = stop.subscribe();
                std::thread::Builder::new()
                    .name("echo".to_owned())
                    .spawn(move || {
                        serve::run(listeners, &service, async move {
                            // Ready when the sender sends, and when it is gone.
                            let _ = stopping.changed().await;
                        })
                    })
                    .map_err(EchoError::Start)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut result = serve::run(own, &self.service, stopped);
        drop(stop);
        for thread in others {
            let ended = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(ended);
        }
        result
    }
}
