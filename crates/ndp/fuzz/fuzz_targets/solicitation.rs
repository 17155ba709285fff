//! Whatever comes off the link is refused or is a solicitation that may be answered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_ndp::{Advertisement, Flags, Invalid, Kind, Mac, Solicitation};

fuzz_target!(|data: &[u8]| {
    let Some((mode, packet)) = data.split_first() else {
        return;
    };
    let mut packet = packet.to_vec();
    if mode & 1 == 1 {
        put_checksum_right(&mut packet);
    }
    let Ok(solicitation) = Solicitation::parse(&packet) else {
        return;
    };
    assert!(packet.len() >= 64, "IPv6 header, 24 bytes of ICMPv6");
    assert_eq!((packet[6], packet[7]), (58, 255));
    assert_eq!((packet[40], packet[41]), (135, 0));
    assert!(!solicitation.target.is_multicast());
    match solicitation.kind() {
        Kind::Duplicate => {
            assert!(solicitation.source.is_none() && solicitation.link_address.is_none());
            assert!(solicitation.destination.is_multicast());
        }
        Kind::Resolution => assert!(solicitation.destination.is_multicast()),
        Kind::Reachability => assert!(!solicitation.destination.is_multicast()),
    }
    answer(&solicitation);
});

/// The answer is never taken for a solicitation.
fn answer(solicitation: &Solicitation) {
    let advertisement = Advertisement {
        source: solicitation.target,
        destination: solicitation.source.unwrap_or(v6kit_ndp::ALL_NODES),
        target: solicitation.target,
        link_address: Mac([2, 0, 0, 0, 0, 1]),
        flags: Flags {
            solicited: true,
            overriding: true,
        },
    };
    let packet = advertisement.to_packet();
    assert_eq!(Solicitation::parse(&packet), Err(Invalid::OtherMessage));
}

fn put_checksum_right(packet: &mut [u8]) {
    if packet.len() < 44 {
        return;
    }
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let end = packet.len().min(40 + length);
    if end < 44 {
        return;
    }
    packet[42..44].fill(0);
    let mut sum: u64 = 58 + (end as u64 - 40);
    for pair in packet[8..end].chunks(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum >> 16 > 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[42..44].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}
