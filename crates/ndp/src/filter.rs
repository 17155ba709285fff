//! The kernel-side filter: neighbour solicitations from or for the prefix, and nothing else.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W,
};
use socket2::SockFilter;
use v6kit_net::Prefix;

// Offsets from the IPv6 header, where the data of a SOCK_DGRAM packet socket begins.
const VERSION: u32 = 0;
const NEXT_HEADER: u32 = 6;
const SOURCE: u32 = 8;
const ICMPV6_TYPE: u32 = 40;
const TARGET: u32 = 48;

const ICMPV6: u32 = 58;
const NEIGHBOUR_SOLICITATION: u32 = 135;
const PACKET_OTHERHOST: u32 = 3;

// linux/filter.h: loads that look beside the packet.
const ANCILLARY: u32 = -0x1000_i32 as u32;
const ANCILLARY_PACKET_TYPE: u32 = ANCILLARY + 4;
const ANCILLARY_VLAN_TAG: u32 = ANCILLARY + 44;
const VLAN_ID: u32 = 0x0fff;

/// The whole packet.
const EVERYTHING: u32 = u32::MAX;

/// A classic BPF program that passes neighbour solicitations whose target or source lies in `prefix`.
///
/// Solicitations from the prefix are wanted because they show who else lives in it. What the program
/// does not take for a solicitation: frames for another host (seen when something else has put the
/// device into promiscuous mode) and what was sent by ourselves; frames with a VLAN tag that no VLAN
/// device took; packets with extension headers (their next header is not ICMPv6), so that nothing
/// behind one can pose as an ICMPv6 header.
pub(crate) fn solicitations(prefix: Prefix) -> Vec<SockFilter> {
    let mut program = vec![
        load(BPF_B, ANCILLARY_PACKET_TYPE),
        jump(BPF_JGE, PACKET_OTHERHOST, To::Reject, To::Next),
    ];
    program.extend([load(BPF_H, ANCILLARY_VLAN_TAG), and(VLAN_ID), equal(0)]);
    program.extend([load(BPF_B, VERSION), and(0xf0), equal(0x60)]);
    program.extend([load(BPF_B, NEXT_HEADER), equal(ICMPV6)]);
    program.extend([load(BPF_B, ICMPV6_TYPE), equal(NEIGHBOUR_SOLICITATION)]);

    let target = in_prefix(prefix, TARGET, To::Reject);
    // The last comparison of the source jumps over the target to the accepting end.
    let mut source = in_prefix(prefix, SOURCE, To::SecondChance);
    if let Some(Step::Jump { yes, .. }) = source.last_mut() {
        *yes = To::Accept;
    }
    let second_chance = program.len() + source.len();
    program.extend(source);
    program.extend(target);
    assemble(program, second_chance)
}

enum Step {
    Plain(SockFilter),
    Jump { test: u32, value: u32, yes: To, no: To },
}

#[derive(Clone, Copy)]
enum To {
    Next,
    SecondChance,
    Accept,
    Reject,
}

fn load(size: u32, offset: u32) -> Step {
    Step::Plain(plain(BPF_LD | size | BPF_ABS, offset))
}

fn and(mask: u32) -> Step {
    Step::Plain(plain(BPF_ALU | BPF_AND | BPF_K, mask))
}

fn equal(value: u32) -> Step {
    jump(BPF_JEQ, value, To::Next, To::Reject)
}

fn jump(test: u32, value: u32, yes: To, no: To) -> Step {
    Step::Jump { test, value, yes, no }
}

fn plain(code: u32, k: u32) -> SockFilter {
    SockFilter::new(opcode(code), 0, 0, k)
}

fn opcode(code: u32) -> u16 {
    u16::try_from(code).expect("operation codes of classic BPF have 16 bits")
}

/// Compares the address at `offset` with the prefix, word by word.
fn in_prefix(prefix: Prefix, offset: u32, otherwise: To) -> Vec<Step> {
    let network = prefix.network().to_bits();
    let mut steps = Vec::new();
    for word in 0..4 {
        let bits = u32::from(prefix.length()).saturating_sub(32 * word).min(32);
        if bits == 0 {
            break;
        }
        let value = u32::try_from((network >> (96 - 32 * word)) & u128::from(u32::MAX)).expect("one word");
        steps.push(load(BPF_W, offset + 4 * word));
        if bits < 32 {
            steps.push(and(u32::MAX << (32 - bits)));
        }
        steps.push(jump(BPF_JEQ, value, To::Next, otherwise));
    }
    steps
}

/// Turns places into distances. Accept and reject are the two instructions behind the steps.
fn assemble(steps: Vec<Step>, second_chance: usize) -> Vec<SockFilter> {
    let accept = steps.len();
    let distance = |from: usize, to: To| {
        let place = match to {
            To::Next => from + 1,
            To::SecondChance => second_chance,
            To::Accept => accept,
            To::Reject => accept + 1,
        };
        u8::try_from(place - from - 1).expect("a program of less than 256 instructions")
    };
    let mut program: Vec<SockFilter> = steps
        .into_iter()
        .enumerate()
        .map(|(place, step)| match step {
            Step::Plain(instruction) => instruction,
            Step::Jump { test, value, yes, no } => SockFilter::new(
                opcode(BPF_JMP | test | BPF_K),
                distance(place, yes),
                distance(place, no),
                value,
            ),
        })
        .collect();
    program.push(plain(BPF_RET | BPF_K, EVERYTHING));
    program.push(plain(BPF_RET | BPF_K, 0));
    program
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// What the running kernel lets through, asked on a pair of local sockets.
    fn passes(prefix: &str, packet: &[u8]) -> bool {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        socket2::SockRef::from(&receiver)
            .attach_filter(&solicitations(prefix.parse().unwrap()))
            .unwrap();
        receiver.set_nonblocking(true).unwrap();
        sender.send(packet).unwrap();
        let mut buffer = [0; 256];
        match receiver.recv(&mut buffer) {
            Ok(length) => {
                assert_eq!(&buffer[..length], packet);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                false
            }
        }
    }

    fn solicitation(source: &str, target: &str) -> Vec<u8> {
        let mut packet = vec![0; 72];
        packet[0] = 0x60;
        packet[5] = 32;
        packet[6] = 58;
        packet[7] = 255;
        packet[8..24].copy_from_slice(&source.parse::<Ipv6Addr>().unwrap().octets());
        packet[40] = 135;
        packet[48..64].copy_from_slice(&target.parse::<Ipv6Addr>().unwrap().octets());
        packet
    }

    #[test]
    fn solicitations_for_or_from_the_prefix_pass_at_every_length() {
        let inside: Ipv6Addr = "2001:db8:a5a5:5a5a:c3c3:3c3c:9696:6969".parse().unwrap();
        for length in 16..=128 {
            let prefix = Prefix::around(inside, length).to_string();
            let inside = inside.to_string();
            assert!(passes(&prefix, &solicitation("fe80::1", &inside)), "{prefix}");
            assert!(passes(&prefix, &solicitation("::", &inside)), "{prefix}");
            assert!(passes(&prefix, &solicitation(&inside, "2003::1")), "{prefix}");
            let last_bit =
                Ipv6Addr::from_bits(inside.parse::<Ipv6Addr>().unwrap().to_bits() ^ (1 << (128 - length)));
            let beside = solicitation("fe80::1", &last_bit.to_string());
            assert!(!passes(&prefix, &beside), "{prefix} and {last_bit}");
            assert!(
                !passes(&prefix, &solicitation(&last_bit.to_string(), "2003::1")),
                "{prefix}"
            );
        }
    }

    #[test]
    fn other_messages_and_extension_headers_do_not_pass() {
        let good = solicitation("fe80::1", "2001:db8::7");
        assert!(passes("2001:db8::/64", &good));
        for (offset, value) in [
            (40, 136),
            (40, 134),
            (6, 0),
            (6, 43),
            (6, 44),
            (6, 60),
            (6, 17),
            (0, 0x45),
        ] {
            let mut other = good.clone();
            other[offset] = value;
            assert!(!passes("2001:db8::/64", &other), "{value} at {offset}");
        }
    }

    #[test]
    fn an_extension_header_cannot_pose_as_a_solicitation() {
        // Hop-by-hop options whose first byte reads 135 where the ICMPv6 type would be.
        let mut disguised = solicitation("fe80::1", "2001:db8::7");
        disguised[6] = 0;
        disguised[40] = 135;
        assert!(!passes("2001:db8::/64", &disguised));
        // Behind real hop-by-hop options the solicitation is not looked for either.
        let mut behind = disguised.clone();
        behind[40] = 58;
        behind.splice(48..48, good_message());
        assert!(!passes("2001:db8::/64", &behind));
    }

    fn good_message() -> Vec<u8> {
        solicitation("fe80::1", "2001:db8::7")[40..].to_vec()
    }

    #[test]
    fn a_cut_packet_does_not_pass() {
        let good = solicitation("fe80::1", "2001:db8::7");
        for length in 0..64 {
            // The prefix has 64 bits: the program never reads behind byte 56.
            let read = 56;
            assert_eq!(
                passes("2001:db8::/64", &good[..length]),
                length >= read,
                "{length}"
            );
        }
    }
}
