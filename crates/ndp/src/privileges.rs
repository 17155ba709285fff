//! Giving up what is not needed any more (capabilities(7)).

use std::io;

use caps::{CapSet, Capability, CapsHashSet};

use crate::NdpError;

/// Keeps CAP_NET_RAW and nothing else, for this thread and those that it starts from now on, and rules
/// out that a program run by it gains anything. Returns the names of what is left.
///
/// # Errors
/// [`NdpError::Privileges`] when the kernel refuses.
pub fn keep_only_net_raw() -> Result<Vec<String>, NdpError> {
    let kept = CapsHashSet::from([Capability::CAP_NET_RAW]);
    // The bounding set needs CAP_SETPCAP; without it there is nothing in reach to be bounded.
    for capability in caps::all() {
        if !kept.contains(&capability) {
            let _ = caps::drop(None, CapSet::Bounding, capability);
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(refused)?;
    caps::set(None, CapSet::Effective, &kept).map_err(refused)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(refused)?;
    caps::clear(None, CapSet::Inheritable).map_err(refused)?;
    nix::sys::prctl::set_no_new_privs().map_err(|errno| NdpError::Privileges(errno.into()))?;
    let left = caps::read(None, CapSet::Permitted).map_err(refused)?;
    Ok(left.iter().map(ToString::to_string).collect())
}

fn refused(error: caps::errors::CapsError) -> NdpError {
    NdpError::Privileges(io::Error::other(error))
}
