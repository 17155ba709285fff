//! Packets as they are on the wire.

use super::*;

const ROUTER: &str = "fe80::1";
const TARGET: &str = "2001:db8::7";

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    )
}

fn packet(source: &str, destination: Ipv6Addr, hop_limit: u8, icmp_tail: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: u16::try_from(8 + icmp_tail.len()).unwrap(),
        next_header: IpNumber::IPV6_ICMP,
        hop_limit,
        source: address(source).octets(),
        destination: destination.octets(),
        ..Ipv6Header::default()
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(icmpv6_header(
        &Icmpv6Type::NeighborSolicitation,
        &header,
        icmp_tail,
    ));
    packet.extend(icmp_tail);
    packet
}

fn body(target: &str, options: &[u8]) -> Vec<u8> {
    [&address(target).octets()[..], options].concat()
}

const LINK_OPTION: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 1];

fn resolution() -> Vec<u8> {
    packet(
        ROUTER,
        solicited_node(address(TARGET)),
        255,
        &body(TARGET, &LINK_OPTION),
    )
}

fn with_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    packet[42..44].fill(0);
    let source = packet[8..24].try_into().unwrap();
    let destination = packet[24..40].try_into().unwrap();
    let checksum = Icmpv6Type::Unknown {
        type_u8: packet[40],
        code_u8: packet[41],
        bytes5to8: packet[44..48].try_into().unwrap(),
    }
    .calc_checksum(source, destination, &packet[48..])
    .unwrap();
    packet[42..44].copy_from_slice(&checksum.to_be_bytes());
    packet
}

#[test]
fn a_solicitation_as_the_kernel_sends_it_is_read() {
    let read = Solicitation::parse(&resolution()).unwrap();
    assert_eq!(read.source, Some(address(ROUTER)));
    assert_eq!(read.target, address(TARGET));
    assert_eq!(read.link_address, Some(Mac([2, 0, 0, 0, 0, 1])));
    assert_eq!(read.kind(), Kind::Resolution);
}

#[test]
fn a_probe_to_the_target_itself_is_one_of_reachability() {
    let probe = packet(ROUTER, address(TARGET), 255, &body(TARGET, &[]));
    assert_eq!(Solicitation::parse(&probe).unwrap().kind(), Kind::Reachability);
}

#[test]
fn padding_behind_the_packet_is_ignored_and_a_cut_packet_refused() {
    let mut padded = resolution();
    padded.extend([0xff; 9]);
    assert!(Solicitation::parse(&padded).is_ok());
    for length in 0..resolution().len() {
        assert!(Solicitation::parse(&resolution()[..length]).is_err(), "{length}");
    }
}

#[test]
fn each_rule_of_the_rfc_has_its_own_refusal() {
    let group = solicited_node(address(TARGET));
    let far = packet(ROUTER, group, 64, &body(TARGET, &[]));
    assert_eq!(Solicitation::parse(&far), Err(Invalid::HopLimit(64)));

    let mut flipped = resolution();
    flipped[63] ^= 1;
    assert_eq!(Solicitation::parse(&flipped), Err(Invalid::Checksum));

    let mut coded = resolution();
    coded[41] = 3;
    assert_eq!(Solicitation::parse(&with_checksum(coded)), Err(Invalid::Code(3)));

    let short = packet(ROUTER, group, 255, &address(TARGET).octets()[..8]);
    assert_eq!(Solicitation::parse(&short), Err(Invalid::Length));

    let multicast = packet(ROUTER, group, 255, &body("ff02::1", &[]));
    assert_eq!(Solicitation::parse(&multicast), Err(Invalid::MulticastTarget));

    let from_group = packet("ff02::1", group, 255, &body(TARGET, &[]));
    assert_eq!(Solicitation::parse(&from_group), Err(Invalid::Source));

    let mut other = resolution();
    other[40] = 136;
    assert_eq!(
        Solicitation::parse(&with_checksum(other)),
        Err(Invalid::OtherMessage)
    );
    let mut extended = resolution();
    extended[6] = 0;
    assert_eq!(Solicitation::parse(&extended), Err(Invalid::OtherMessage));
}

#[test]
fn options_of_length_zero_beyond_the_end_or_of_another_link_are_refused() {
    let group = solicited_node(address(TARGET));
    for options in [
        &[1, 0, 2, 0, 0, 0, 0, 1][..],
        &[14, 0, 1, 2, 3, 4, 5, 6],
        &[1, 2, 2, 0, 0, 0, 0, 1],
        &[1],
        &[1, 2, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        // An MTU option of the wrong size is nobody's business, the zero behind it is.
        &[
            5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
        ],
    ] {
        let packet = packet(ROUTER, group, 255, &body(TARGET, options));
        assert_eq!(Solicitation::parse(&packet), Err(Invalid::Options), "{options:?}");
    }
}

#[test]
fn options_that_are_not_known_are_skipped() {
    let nonce_then_link = [&[14, 1, 1, 2, 3, 4, 5, 6][..], &LINK_OPTION].concat();
    let group = solicited_node(address(TARGET));
    let packet = packet(ROUTER, group, 255, &body(TARGET, &nonce_then_link));
    let read = Solicitation::parse(&packet).unwrap();
    assert_eq!(read.link_address, Some(Mac([2, 0, 0, 0, 0, 1])));
}

#[test]
fn duplicate_address_detection_goes_to_the_group_and_names_no_link_address() {
    let group = solicited_node(address(TARGET));
    let good = packet("::", group, 255, &body(TARGET, &[14, 1, 1, 2, 3, 4, 5, 6]));
    assert_eq!(Solicitation::parse(&good).unwrap().kind(), Kind::Duplicate);
    let unicast = packet("::", address(TARGET), 255, &body(TARGET, &[]));
    assert_eq!(Solicitation::parse(&unicast), Err(Invalid::ProbeDestination));
    let named = packet("::", group, 255, &body(TARGET, &LINK_OPTION));
    assert_eq!(Solicitation::parse(&named), Err(Invalid::ProbeLinkAddress));
}

#[test]
fn an_advertisement_carries_flags_target_and_a_right_checksum() {
    let advertisement = Advertisement {
        source: address(TARGET),
        destination: address(ROUTER),
        target: address(TARGET),
        link_address: Mac([2, 0, 0, 0, 0, 9]),
        flags: Flags {
            solicited: true,
            overriding: true,
        },
    };
    let packet = advertisement.to_packet();
    assert_eq!(packet[7], 255);
    assert_eq!(packet[40..42], [136, 0]);
    assert_eq!(packet[44], 0x60);
    assert_eq!(packet[48..64], address(TARGET).octets());
    assert_eq!(packet[64..], [2, 1, 2, 0, 0, 0, 0, 9]);
    let icmp = Icmpv6Slice::from_slice(&packet[40..]).unwrap();
    assert!(icmp.is_checksum_valid(address(TARGET).octets(), address(ROUTER).octets()));
}

#[test]
fn a_multicast_router_advertisement_carries_a_router_alert() {
    let advertisement = MulticastRouter::Advertisement { interval_seconds: 20 };
    let packet = advertisement.to_packet(address(ROUTER));
    assert_eq!((packet[6], packet[7]), (0, 1));
    assert_eq!(packet[40..46], [58, 0, 5, 2, 0, 0]);
    assert_eq!(packet[48..50], [151, 20]);
    let icmp = Icmpv6Slice::from_slice(&packet[48..]).unwrap();
    let group = MulticastRouter::ALL_SNOOPERS.octets();
    assert!(icmp.is_checksum_valid(address(ROUTER).octets(), group));
    assert_eq!(MulticastRouter::Termination.to_packet(address(ROUTER))[48], 153);
}

#[test]
fn a_group_is_delivered_to_its_ethernet_address() {
    assert_eq!(
        Mac::of_group(solicited_node(address("2001:db8::1:203"))).to_string(),
        "33:33:ff:01:02:03"
    );
}
