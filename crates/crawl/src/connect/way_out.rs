//! Whether this host has a way to a destination, without sending anything.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use nix::errno::Errno;
use v6kit_net::Ipv6;

/// Asks the kernel for the way to `to`, by connecting a datagram socket, which sends nothing.
///
/// # Errors
/// There is none. Want of descriptors or memory says nothing about it.
pub(crate) fn way_out(to: SocketAddrV6) -> io::Result<()> {
    let Ok(socket) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
        return Ok(());
    };
    match socket.connect(to) {
        Err(error) if is_no_way(&error) => Err(error),
        _ => Ok(()),
    }
}

/// What connect(2) says where a route is missing, is of a kind that refuses (`prohibit`, `unreachable`, `blackhole`),
/// or leads out of a device that is down, and where there is no address to send from.
fn is_no_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ENETUNREACH
                | Errno::EHOSTUNREACH
                | Errno::EACCES
                | Errno::EINVAL
                | Errno::ENETDOWN
                | Errno::EADDRNOTAVAIL
        )
    )
}

/// In words, with what the host says of IPv6.
pub(crate) fn no_way_text(to: SocketAddrV6, error: &io::Error, ipv6: &Ipv6) -> String {
    let to = to.ip();
    match ipv6 {
        Ipv6::Off { settings } => format!(
            "this host has no IPv6 address to reach {to} from: IPv6 is switched off ({} is 1)",
            settings.join(", ")
        ),
        Ipv6::NotInKernel => "this host's kernel has no IPv6".to_owned(),
        _ if error.raw_os_error() == Some(Errno::EADDRNOTAVAIL as i32) => {
            format!("this host has no IPv6 address to reach {to} from")
        }
        _ => format!("this host has no route to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_switched_off_and_a_missing_route_have_sentences_of_their_own() {
        let to = "[2001:db8::1]:443".parse().unwrap();
        let none = io::Error::from(Errno::EADDRNOTAVAIL);
        let off = Ipv6::Off {
            settings: vec!["net.ipv6.conf.all.disable_ipv6".to_owned()],
        };
        assert!(no_way_text(to, &none, &off).contains("switched off (net.ipv6.conf.all.disable_ipv6 is 1)"));
        assert!(no_way_text(to, &none, &Ipv6::NoAddress).contains("no IPv6 address"));
        let no_route = io::Error::from(Errno::ENETUNREACH);
        assert_eq!(
            no_way_text(to, &no_route, &Ipv6::On),
            "this host has no route to 2001:db8::1"
        );
    }
}
