//! Whether packets to a prefix are delivered to this host, asked of the kernel without privileges.

use std::net::Ipv6Addr;

use futures_util::{TryStreamExt, pin_mut};
use netlink_packet_route::route::RouteType;
use nix::errno::Errno;
use rtnetlink::RouteMessageBuilder;
use v6kit_net::{Prefix, SourcePool};

use crate::netlink::NetlinkError;

/// Addresses that are looked up. One may be an address of this host, which is delivered in any case.
const SAMPLES: usize = 3;

/// Whether the kernel delivers packets to addresses of `prefix` to this host, as far as a few of them tell: what a
/// look-up of the route says counts (RTM_GETROUTE, rtnetlink(7)), in whichever table the route lies.
///
/// # Errors
/// [`NetlinkError`] when the kernel does not answer.
pub async fn is_delivered(prefix: Prefix) -> Result<bool, NetlinkError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(NetlinkError::Open)?;
    let driver = tokio::spawn(connection);
    let seed = std::process::id().into();
    // A prefix without a usable address is no source either.
    let mut pool = SourcePool::new(prefix, seed, []).ok();
    let mut delivered = false;
    for _ in 0..SAMPLES {
        let address = pool.as_mut().map_or(prefix.network(), SourcePool::draw);
        delivered = is_local(&handle, address).await?;
        if !delivered {
            break;
        }
    }
    driver.abort();
    Ok(delivered)
}

async fn is_local(handle: &rtnetlink::Handle, address: Ipv6Addr) -> Result<bool, NetlinkError> {
    let question = RouteMessageBuilder::<Ipv6Addr>::new()
        .destination_prefix(address, 128)
        .build();
    let answers = handle.route().get(question).execute();
    pin_mut!(answers);
    match answers.try_next().await {
        Ok(route) => Ok(route.is_some_and(|route| route.header.kind == RouteType::Local)),
        Err(rtnetlink::Error::NetlinkError(message)) if is_no_route(&message.to_io()) => Ok(false),
        Err(error) => Err(NetlinkError::request("look up a route")(error)),
    }
}

fn is_no_route(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_is_delivered_here_and_documentation_is_not() {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        assert!(is_local(&handle, Ipv6Addr::LOCALHOST).await.unwrap());
        let prefix = "2001:db8:dead::/64".parse().unwrap();
        assert!(!is_delivered(prefix).await.unwrap());
    }
}
