//! Whether the proxy's prefix is delivered to this host.

use std::path::Path;

use v6kit_host::is_delivered;
use v6kit_net::Prefix;
use v6kit_proxy::Delivery;

use crate::commands::sources::setup_command;
use crate::printer::Printer;

/// How the proxy looks whether `prefix` is delivered here.
pub(super) fn delivery(prefix: Prefix) -> Delivery {
    Delivery::new(prefix, move || {
        Box::pin(async move {
            let seen = is_delivered(prefix).await;
            seen.inspect_err(|error| tracing::debug!("no look at the routes: {error}"))
                .ok()
        })
    })
}

/// Says that nothing can be served yet, and what is to be done about that.
pub(super) async fn warn_if_missing(
    delivery: &Delivery,
    prefix: Prefix,
    state_dir: &Path,
    printer: &Printer,
) {
    if !delivery.is_missing().await {
        return;
    }
    let setup = setup_command(prefix, state_dir);
    printer.warning(format_args!(
        "{prefix} is not delivered to this host, so no answer would arrive: requests are refused until it is; \
         run `{setup}`"
    ));
}
