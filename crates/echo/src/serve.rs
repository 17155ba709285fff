//! One thread: accepts, speaks HTTP, answers.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use nix::errno::Errno;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::EchoError;
use crate::answer::{self, Answer, CallerAddress};
use crate::limit::{Limiter, Verdict};
use crate::listener::ThreadListeners;

/// How long a caller may take for the TLS handshake and for the header of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request that is under way at the end may take.
const DRAIN: Duration = Duration::from_secs(1);

/// The size of a request's header in bytes above which it is refused (431).
const MAX_HEADER: usize = 16 * 1024;

/// Requests under way on one HTTP/2 connection.
const MAX_STREAMS: u32 = 1000;

/// How long nothing is accepted after the process ran out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection of every thread needs.
#[derive(Debug)]
pub(super) struct Service {
    tls: Option<Arc<ServerConfig>>,
    limiter: Option<Limiter>,
    http: auto::Builder<TokioExecutor>,
    patience: Duration,
}

impl Service {
    pub(super) fn new(tls: Option<Arc<ServerConfig>>, limiter: Option<Limiter>) -> Self {
        Self::with_patience(tls, limiter, HEADER_TIMEOUT)
    }

    fn with_patience(tls: Option<Arc<ServerConfig>>, limiter: Option<Limiter>, patience: Duration) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .max_buf_size(MAX_HEADER)
            .pipeline_flush(true);
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADER as u32)
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(patience)
            .keep_alive_timeout(patience);
        Self {
            tls,
            limiter,
            http,
            patience,
        }
    }

    /// The answer to one request.
    fn answer(&self, caller: &Caller, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path();
        if path == "/healthz" {
            return answer::healthy();
        }
        // A crawler that asks first whether it may is not counted for asking.
        if path == "/robots.txt" {
            return answer::failed(StatusCode::NOT_FOUND);
        }
        if let Some(limiter) = &self.limiter
            && let Verdict::Over(left) = limiter.count(caller.address, Instant::now())
        {
            return answer::refusal(limiter.answer(), left);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer::method_not_allowed();
        }
        match path.strip_prefix("/items/") {
            Some(id) if !id.is_empty() && !id.contains('/') => answer::item(id),
            None if path == "/" => caller.page.answer(request.headers()),
            _ => answer::failed(StatusCode::NOT_FOUND),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug)]
struct Caller {
    address: IpAddr,
    page: CallerAddress,
    has_asked: AtomicBool,
}

/// Serves on the listeners of this thread until `stopped`.
pub(super) fn run(
    listeners: ThreadListeners,
    service: &Arc<Service>,
    stopped: impl Future<Output = ()>,
) -> Result<(), EchoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EchoError::Start)?;
    runtime.block_on(async {
        // A channel of this thread's own: connections poll it, and must not meet other threads there.
        let (stop, stopping) = watch::channel(());
        for listener in listeners {
            let listener = TcpListener::from_std(listener).map_err(EchoError::Start)?;
            tokio::spawn(accept(listener, Arc::clone(service), stopping.clone()));
        }
        drop(stopping);
        stopped.await;
        stop.send_replace(());
        // Ready when the last connection has dropped its receiver. Who is too slow is cut off.
        let _ = timeout(DRAIN, stop.closed()).await;
        Ok(())
    })
}

async fn accept(listener: TcpListener, service: Arc<Service>, mut stopping: watch::Receiver<()>) {
    let connections = stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let caller = peer.ip().to_canonical();
                tokio::spawn(connection(
                    stream,
                    caller,
                    Arc::clone(&service),
                    connections.clone(),
                ));
            }
            Err(error) if exhausted(&error) => {
                tracing::warn!("cannot accept callers for now: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
            // The caller went away before it was accepted (accept(2)).
            Err(error) => tracing::debug!("a caller was lost: {error}"),
        }
    }
}

fn exhausted(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

async fn connection(stream: TcpStream, caller: IpAddr, service: Arc<Service>, stopping: watch::Receiver<()>) {
    // An answer that waits for more data to fill a segment would only be late.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &service.tls else {
        return speak_http(stream, caller, &service, stopping).await;
    };
    match timeout(
        service.patience,
        TlsAcceptor::from(Arc::clone(tls)).accept(stream),
    )
    .await
    {
        Ok(Ok(stream)) => speak_http(stream, caller, &service, stopping).await,
        Ok(Err(error)) => tracing::debug!("{caller}: no TLS handshake: {error}"),
        Err(_) => tracing::debug!("{caller}: the TLS handshake took too long"),
    }
}

async fn speak_http<S>(stream: S, address: IpAddr, service: &Arc<Service>, mut stopping: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let caller = Arc::new(Caller {
        address,
        page: CallerAddress::new(address),
        has_asked: AtomicBool::new(false),
    });
    let answers = service_fn(|request: Request<Incoming>| {
        caller.has_asked.store(true, Ordering::Relaxed);
        let answer = answer::for_method(service.answer(&caller, &request), request.method());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let mut connection = pin!(service.http.serve_connection(TokioIo::new(stream), answers));
    // hyper's own timeout begins when it knows the version, which a silent caller never tells.
    let mut patience = pin!(sleep(service.patience));
    let (mut waiting, mut serving) = (true, true);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!("{address}: {error}");
                }
                return;
            }
            () = patience.as_mut(), if waiting => {
                if !caller.has_asked.load(Ordering::Relaxed) {
                    return;
                }
                waiting = false;
            }
            _ = stopping.changed(), if serving => {
                connection.as_mut().graceful_shutdown();
                serving = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What the server answers to somebody who sends `request` and then keeps silent.
    async fn answer_to(request: &[u8], tls: Option<Arc<ServerConfig>>) -> Vec<u8> {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service::with_patience(tls, None, Duration::from_secs(2));
        let (_stop, stopping) = watch::channel(());
        tokio::spawn(accept(listener, Arc::new(service), stopping));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // The end of the stream is what is waited for.
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_caller_that_keeps_silent_is_cut_off() {
        let requests = [&b""[..], b"PRI * HT", b"GET / HTTP/1.1\r\nHost:"];
        for answer in join_all(requests.map(|request| answer_to(request, None))).await {
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_caller_that_never_shakes_hands_is_cut_off() {
        let addresses = ["[::1]:0".parse().unwrap()];
        let identity = crate::tls::identity(&crate::Tls::SelfSigned, &addresses)
            .ok()
            .unwrap();
        assert!(answer_to(b"", Some(identity.config)).await.is_empty());
    }

    #[tokio::test]
    async fn a_connection_that_stays_idle_after_an_answer_is_closed() {
        let answer = answer_to(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", None).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}
