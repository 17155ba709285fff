//! The filter: which system calls are shown to the supervisor, which are refused, and which go on by themselves.
//!
//! A filter sees numbers and registers, never what a pointer points to (seccomp(2)): a call whose address decides is
//! shown. A table of calls other than the CPU's own (32-bit programs, int 0x80, x32) is shown as far as it reaches the
//! network, so that it can be refused by name.

use libc::{c_int, c_long, sock_filter};

/// Bytes from the start of `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The lower half of an argument of a call, on a little-endian CPU.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// AUDIT_ARCH_* of linux/audit.h: that of this build, and that of the 32-bit programs which its kernel may run.
#[cfg(target_arch = "x86_64")]
mod tables {
    pub(crate) const NATIVE: u32 = 0xC000_003E;
    pub(crate) const OTHER: u32 = 0x4000_0003;
    /// socketcall, sendmmsg, socket, bind, connect, sendto, sendmsg, io_uring_setup of arch/x86/entry/syscalls.
    pub(crate) const OTHER_CALLS: &[u32] = &[102, 345, 359, 361, 362, 369, 370, 425];
    /// Calls of the x32 table have this bit (__X32_SYSCALL_BIT).
    pub(crate) const X32: Option<u32> = Some(0x4000_0000);
}

#[cfg(target_arch = "aarch64")]
mod tables {
    pub(crate) const NATIVE: u32 = 0xC000_00B7;
    pub(crate) const OTHER: u32 = 0x4000_0028;
    /// socketcall, socket, bind, connect, sendto, sendmsg, sendmmsg, io_uring_setup of arch/arm/tools/syscall.tbl.
    pub(crate) const OTHER_CALLS: &[u32] = &[102, 281, 282, 283, 290, 296, 374, 425];
    pub(crate) const X32: Option<u32> = None;
}

/// Other CPUs: nothing is let through as native, and [`is_known`] says so before.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tables {
    pub(crate) const NATIVE: u32 = 0;
    pub(crate) const OTHER: u32 = 0;
    pub(crate) const OTHER_CALLS: &[u32] = &[];
    pub(crate) const X32: Option<u32> = None;
}

/// Whether this build knows the calls of its CPU.
pub(crate) fn is_known() -> bool {
    tables::NATIVE != 0
}

/// Whether a call is of another table than this build's.
pub(crate) fn is_foreign(architecture: u32, number: c_int) -> bool {
    architecture != tables::NATIVE || tables::X32.is_some_and(|bit| number.cast_unsigned() & bit != 0)
}

/// Protocols of AF_INET and AF_INET6 sockets that are refused, as a kernel without them does. MPTCP (262) adds subflows
/// from other addresses by itself, SMC (256) and SCTP (132) connect by ways of their own (setsockopt).
const REFUSED_PROTOCOLS: [u32; 3] = [132, 256, 262];

/// Families whose connections are made over IP by the kernel itself: RDS (21), RxRPC (33), SMC (43).
const REFUSED_FAMILIES: [u32; 3] = [21, 33, 43];

fn statement(code: u32, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        // Codes of linux/bpf_common.h fit into 16 bits.
        code: code as u16,
        jt,
        jf,
        k,
    }
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn end(action: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, action)
}

fn refuse(errno: c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

/// `then`, which ends with an action, where the loaded value is `value`.
fn when(value: u32, then: Vec<sock_filter>) -> Vec<sock_filter> {
    // Blocks are a few instructions long.
    let length = u8::try_from(then.len()).unwrap_or(u8::MAX);
    let mut block = vec![jump(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        value,
        0,
        length,
    )];
    block.extend(then);
    block
}

fn number(call: c_long) -> u32 {
    // Numbers of system calls are small.
    u32::try_from(call).unwrap_or(u32::MAX)
}

/// The program for the kernel.
pub(crate) fn program() -> Vec<sock_filter> {
    let show = libc::SECCOMP_RET_USER_NOTIF;
    let mut others = vec![load(NUMBER)];
    for call in tables::OTHER_CALLS {
        others.extend(when(*call, vec![end(show)]));
    }
    others.push(end(libc::SECCOMP_RET_ALLOW));

    let mut native = vec![load(NUMBER)];
    if let Some(bit) = tables::X32 {
        native.push(jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, bit, 0, 1));
        native.push(end(show));
    }
    for call in [libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_sendmmsg] {
        native.extend(when(number(call), vec![end(show)]));
    }
    native.extend(when(number(libc::SYS_sendto), sendto()));
    native.extend(when(number(libc::SYS_socket), socket()));
    for call in [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
    ] {
        // As kernel.io_uring_disabled = 2 has it: programs do without.
        native.extend(when(number(call), vec![end(refuse(libc::EPERM))]));
    }
    native.push(end(libc::SECCOMP_RET_ALLOW));

    let mut program = vec![load(ARCHITECTURE)];
    program.extend(when(tables::OTHER, others));
    program.push(jump(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        tables::NATIVE,
        1,
        0,
    ));
    program.push(end(refuse(libc::EPERM)));
    program.extend(native);
    program
}

/// Shown where it has an address: without one it is for a socket that is connected.
fn sendto() -> Vec<sock_filter> {
    let mut block = Vec::new();
    for half in [argument(4), argument(4) + 4] {
        block.push(load(half));
        block.push(jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 0));
        block.push(end(libc::SECCOMP_RET_USER_NOTIF));
    }
    block.push(end(libc::SECCOMP_RET_ALLOW));
    block
}

fn socket() -> Vec<sock_filter> {
    // SOCK_SEQPACKET is SCTP whatever the protocol, with each of its flags (socket(2)).
    let mut protocols = vec![load(argument(1))];
    for kind in [
        0,
        libc::SOCK_CLOEXEC,
        libc::SOCK_NONBLOCK,
        libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
    ] {
        let kind = (libc::SOCK_SEQPACKET | kind).cast_unsigned();
        protocols.extend(when(kind, vec![end(refuse(libc::EPROTONOSUPPORT))]));
    }
    protocols.push(load(argument(2)));
    for protocol in REFUSED_PROTOCOLS {
        protocols.extend(when(protocol, vec![end(refuse(libc::EPROTONOSUPPORT))]));
    }
    protocols.push(end(libc::SECCOMP_RET_ALLOW));
    let mut block = vec![load(argument(0))];
    for family in REFUSED_FAMILIES {
        block.extend(when(family, vec![end(refuse(libc::EAFNOSUPPORT))]));
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        block.extend(when(family.cast_unsigned(), protocols.clone()));
    }
    block.push(end(libc::SECCOMP_RET_ALLOW));
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter does with a call: an interpreter of the few instructions that are used.
    fn run(architecture: u32, call: c_long, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend((call as u32).to_le_bytes());
        data.extend(architecture.to_le_bytes());
        data.extend(0u64.to_le_bytes());
        arguments
            .iter()
            .for_each(|argument| data.extend(argument.to_le_bytes()));
        let program = program();
        let (mut at, mut value) = (0, 0);
        loop {
            let instruction = program[at];
            let (code, k) = (u32::from(instruction.code), instruction.k);
            let holds = match code {
                code if code == libc::BPF_RET => return k,
                code if code == libc::BPF_LD | libc::BPF_ABS => {
                    let bytes = &data[k as usize..k as usize + 4];
                    value = u32::from_le_bytes(bytes.try_into().unwrap());
                    at += 1;
                    continue;
                }
                code if code == libc::BPF_JMP | libc::BPF_JEQ => value == k,
                code if code == libc::BPF_JMP | libc::BPF_JGE => value >= k,
                code => panic!("{code}"),
            };
            at += 1 + usize::from(if holds { instruction.jt } else { instruction.jf });
        }
    }

    fn native(call: c_long, arguments: [u64; 6]) -> u32 {
        run(tables::NATIVE, call, arguments)
    }

    #[test]
    fn what_chooses_a_source_is_shown_and_what_cannot_goes_on() {
        let (show, allow) = (libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW);
        for call in [libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_sendmmsg] {
            assert_eq!(native(call, [0; 6]), show);
        }
        assert_eq!(native(libc::SYS_sendto, [3, 1, 1, 0, 0, 0]), allow);
        assert_eq!(native(libc::SYS_sendto, [3, 1, 1, 0, 0x1000, 28]), show);
        assert_eq!(native(libc::SYS_sendto, [3, 1, 1, 0, 0x1000_0000_0000, 28]), show);
        for call in [
            libc::SYS_read,
            libc::SYS_bind,
            libc::SYS_accept4,
            libc::SYS_execve,
        ] {
            assert_eq!(native(call, [0; 6]), allow);
        }
    }

    #[test]
    fn sockets_that_connect_by_ways_of_their_own_are_refused_as_if_the_kernel_had_none() {
        for family in [libc::AF_INET as u64, libc::AF_INET6 as u64] {
            assert_eq!(
                native(libc::SYS_socket, [family, 1, 6, 0, 0, 0]),
                libc::SECCOMP_RET_ALLOW
            );
            for protocol in [132, 256, 262] {
                assert_eq!(
                    native(libc::SYS_socket, [family, 1, protocol, 0, 0, 0]),
                    refuse(libc::EPROTONOSUPPORT)
                );
            }
        }
        for kind in [5, 0x805, 0x80005, 0x80805] {
            assert_eq!(
                native(libc::SYS_socket, [libc::AF_INET6 as u64, kind, 0, 0, 0, 0]),
                refuse(libc::EPROTONOSUPPORT)
            );
            assert_eq!(
                native(libc::SYS_socket, [libc::AF_UNIX as u64, kind, 0, 0, 0, 0]),
                libc::SECCOMP_RET_ALLOW
            );
        }
        assert_eq!(
            native(libc::SYS_socket, [1, 1, 262, 0, 0, 0]),
            libc::SECCOMP_RET_ALLOW
        );
        assert_eq!(
            native(libc::SYS_socket, [43, 1, 0, 0, 0, 0]),
            refuse(libc::EAFNOSUPPORT)
        );
        assert_eq!(
            native(libc::SYS_io_uring_setup, [8, 0, 0, 0, 0, 0]),
            refuse(libc::EPERM)
        );
    }

    #[test]
    fn another_table_of_calls_is_shown_where_it_reaches_the_network_and_an_unknown_one_is_refused() {
        for call in tables::OTHER_CALLS {
            assert_eq!(
                run(tables::OTHER, (*call).into(), [0; 6]),
                libc::SECCOMP_RET_USER_NOTIF
            );
        }
        assert_eq!(run(tables::OTHER, 1, [0; 6]), libc::SECCOMP_RET_ALLOW);
        assert_eq!(run(0x1234, 1, [0; 6]), refuse(libc::EPERM));
        if let Some(bit) = tables::X32 {
            assert_eq!(
                native(libc::SYS_connect | c_long::from(bit), [0; 6]),
                libc::SECCOMP_RET_USER_NOTIF
            );
            assert!(is_foreign(
                tables::NATIVE,
                (libc::SYS_connect as u32 | bit).cast_signed()
            ));
        }
        assert!(is_foreign(tables::OTHER, 102));
        assert!(!is_foreign(tables::NATIVE, 42));
    }
}
