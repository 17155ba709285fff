//! The device that a prefix arrives on, and the one that its packets leave by.

use std::path::Path;

use v6kit_net::{Prefix, shell_word};

use super::failure;
use crate::failure::{Exit, Failure};

/// The device that `prefix` arrives on, where nobody names one.
pub(super) async fn device(prefix: Prefix, state_dir: &Path) -> Result<String, Failure> {
    let what = format!("which device does {prefix} arrive on?");
    let found = v6kit_host::device_of(state_dir, prefix)
        .await
        .map_err(|error| failure(&what, &error))?;
    if let Some(device) = found {
        return Ok(device);
    }
    let uplinks = v6kit_host::uplinks()
        .await
        .map_err(|error| failure(&what, &error))?;
    match uplinks.as_slice() {
        [one] => Ok(one.device.clone()),
        [] => Err(Failure::new(Exit::Usage, what)
            .why("there is no IPv6 default route whose device it could be")
            .hint("name the device: --dev DEV; `ip link` lists them")),
        [first, ..] => {
            let names: Vec<&str> = uplinks.iter().map(|uplink| uplink.device.as_str()).collect();
            Err(Failure::new(Exit::Usage, what)
                .why(format!("default routes leave by {}", names.join(", ")))
                .hint(format!("name one of them: --dev {}", shell_word(&first.device))))
        }
    }
}

/// What is to be said where packets of the prefix leave by another device than they are to arrive on.
pub(crate) async fn other_way_out(prefix: Prefix, device: &str) -> Option<String> {
    if prefix.is_this_host() {
        return None;
    }
    let other = v6kit_verify::leaves_by(prefix).await?;
    (other != device).then(|| {
        format!(
            "packets from {prefix} leave by {other}, not by {device}: where the network of {other} takes none from it, lead them out by {device}: `sudo ip -6 rule add from {prefix} lookup 100`, with a default route by {device} in that table"
        )
    })
}
