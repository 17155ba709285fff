//! Where the commands that send get their source addresses from.

use std::num::NonZeroUsize;
use std::path::Path;

use v6kit_net::{Prefix, shell_word};
use v6kit_verify::Delivery;

use crate::failure::Failure;
use crate::printer::Printer;

/// Addresses at a time where the prefix is on-link: fewer than `v6kit ndp` answers for, so that others on
/// this host have room too.
const ON_LINK: NonZeroUsize = NonZeroUsize::new(300).expect("not zero");

/// How many addresses of `prefix` there may be at a time: what was asked for, or few where `v6kit ndp` answers
/// for them, which is said.
pub(super) fn addresses(
    asked: Option<NonZeroUsize>,
    prefix: Option<Prefix>,
    printer: &Printer,
) -> Option<NonZeroUsize> {
    let prefix = prefix?;
    if asked.is_some() {
        return asked;
    }
    // Where nothing can be learnt there is no `v6kit ndp` either.
    let answered = v6kit_ndp::answered_prefixes().unwrap_or_default();
    let on_link = answered
        .iter()
        .any(|other| other.contains(prefix.network()) || prefix.contains(other.network()));
    // That it answers does not say that anybody asks: it may run beside a route.
    if !on_link || is_routed(prefix) {
        return None;
    }
    printer.note(format!(
        "{prefix} is on-link (v6kit ndp answers for it): sending from {ON_LINK} addresses at a time, of which few \
         change each second, so that the router's neighbour table does not overflow; --addresses sets another number"
    ));
    Some(ON_LINK)
}

/// The command that has `prefix` delivered to this host, as the last setup did it. It is good without a device as well.
pub(super) fn setup_command(prefix: Prefix, state_dir: &Path) -> String {
    let state_dir = state_dir.to_owned();
    let look = move || {
        super::block_on::<_, Failure>(async move {
            // By the name that it has now.
            Ok::<_, Failure>(v6kit_host::device_of(&state_dir, prefix).await.ok().flatten())
        })
    };
    let device = std::thread::spawn(look).join();
    let device = match device {
        Ok(Ok(Some(device))) => format!(" --dev {}", shell_word(&device)),
        _ => String::new(),
    };
    format!("sudo v6kit setup --prefix {prefix}{device}")
}

/// Whether the router was seen to have a route for `prefix`: its answers come to addresses that it did not ask for.
fn is_routed(prefix: Prefix) -> bool {
    let look = move || {
        super::block_on::<_, Failure>(async {
            let reserved = v6kit_host::reserved_addresses().await.unwrap_or_default();
            Ok::<_, Failure>(v6kit_verify::delivery(prefix, reserved, rand::random()).await)
        })
    };
    // Settings are made inside of a runtime too, in which no other one can be waited for.
    let delivery = std::thread::spawn(look).join();
    matches!(delivery, Ok(Ok(Delivery::Routed)))
}
