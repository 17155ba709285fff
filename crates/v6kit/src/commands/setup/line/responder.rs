//! Answers neighbour solicitations for as long as the command runs, where the prefix is on-link.

use std::sync::mpsc::{self, Sender};
use std::thread;

use v6kit_host::{Looks, Offer};
use v6kit_ndp::{Responder, Scope, Settings, SingletonLock, Snooping, SourceWish};
use v6kit_net::{Prefix, chain};

use crate::commands::{block_on, ndp};
use crate::failure::{Exit, Failure};

/// Whether `prefix` lies on the link of `device`, where nobody finds its addresses unless they are answered for.
pub(super) async fn is_on_link(prefix: Prefix, device: &str) -> bool {
    let lies_on_it = |offer: &Offer| {
        offer.looks == Looks::OnLink && offer.device == device && offer.prefix.contains(prefix.network())
    };
    v6kit_host::offers()
        .await
        .is_ok_and(|offers| offers.iter().any(lies_on_it))
}

/// Starts to answer, in a thread that ends with this process.
pub(super) fn answer(prefix: Prefix, device: &str) -> Result<(), Failure> {
    let settings = Settings {
        prefix,
        device: device.to_owned(),
        scope: Scope::Auto,
        source: SourceWish::Auto,
        live: Some(ndp::LIVE),
        max_rate: ndp::MAX_RATE,
        snooping: Snooping::Announce,
        report_solicitations: false,
    };
    let (ready, started) = mpsc::channel();
    thread::Builder::new()
        .name("neighbours".to_owned())
        .spawn(move || {
            if let Err(failure) = block_on(respond(settings, &ready)) {
                tracing::warn!("{}", failure.on_one_line());
                // Nobody waits for it any more where it had started.
                let _ = ready.send(Err(failure));
            }
        })
        .map_err(|error| {
            Failure::new(Exit::NotRun, "neighbour solicitations cannot be answered").why(error.to_string())
        })?;
    started.recv().unwrap_or_else(|_| {
        Err(
            Failure::new(Exit::NotRun, "neighbour solicitations cannot be answered")
                .why("the responder ended"),
        )
    })
}

async fn respond(settings: Settings, ready: &Sender<Result<(), Failure>>) -> Result<(), Failure> {
    let responder = Responder::open(settings.clone())
        .await
        .map_err(|error| ndp::failed(&error))?;
    let _lock = SingletonLock::acquire(settings.prefix).ok();
    let _ = ready.send(Ok(()));
    responder
        .run(std::future::pending(), &mut |_| {})
        .await
        .map(|_| ())
        .map_err(|error| {
            Failure::new(Exit::Failed, "neighbour solicitations are not answered any more").why(chain(&error))
        })
}
