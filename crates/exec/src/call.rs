//! What a call that was shown is, and the addresses that it names in its caller's memory.

use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::destination::{LONGEST, Named};
use crate::filter::is_foreign;
use crate::kernel::Notice;

/// A call that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Of a table of calls that is not this CPU's own.
    Foreign,
    /// connect(2).
    Connect { descriptor: i32, address: Span },
    /// sendto(2), sendmsg(2) or sendmmsg(2).
    Send {
        descriptor: i32,
        names: Names,
        /// Whether a TCP socket connects by it (MSG_FASTOPEN).
        opens: bool,
    },
    /// Nothing that is known.
    Unknown,
}

/// Bytes in the caller's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    at: u64,
    length: usize,
}

/// Where the addresses of a call stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// There.
    One(Span),
    /// In the `struct msghdr` there.
    Message(u64),
    /// In so many `struct mmsghdr` from there on.
    Messages(u64, usize),
}

/// Messages that the kernel takes at once (UIO_MAXIOV).
const MOST: usize = 1024;

/// Bytes of `struct msghdr` and `struct mmsghdr`, of which the first 12 are the place and the length of the name.
const MESSAGE: usize = size_of::<libc::msghdr>();
const MESSAGES: usize = size_of::<libc::mmsghdr>();

impl Call {
    pub(crate) fn of(notice: &Notice) -> Self {
        if is_foreign(notice.architecture, notice.number) {
            return Self::Foreign;
        }
        let [first, second, third, fourth, fifth, sixth] = notice.arguments;
        // As the kernel does: descriptors, flags and lengths are the lower half of a register.
        let descriptor = (first as u32).cast_signed();
        let opens = |flags: u64| flags as i32 & libc::MSG_FASTOPEN != 0;
        let span = |at: u64, length: u64| Span {
            at,
            length: (length as u32) as usize,
        };
        match notice.number.into() {
            libc::SYS_connect => Self::Connect {
                descriptor,
                address: span(second, third),
            },
            libc::SYS_sendto => Self::Send {
                descriptor,
                names: Names::One(span(fifth, sixth)),
                opens: opens(fourth),
            },
            libc::SYS_sendmsg => Self::Send {
                descriptor,
                names: Names::Message(second),
                opens: opens(third),
            },
            libc::SYS_sendmmsg => Self::Send {
                descriptor,
                names: Names::Messages(second, (third as u32 as usize).min(MOST)),
                opens: opens(fourth),
            },
            _ => Self::Unknown,
        }
    }
}

impl Names {
    /// The addresses, as they stand in the memory of `thread` now; none where the socket is to know.
    pub(crate) fn read(self, thread: Pid) -> nix::Result<Vec<Named>> {
        let (start, count, size) = match self {
            Self::One(span) => return Ok(vec![span.read(thread)?]),
            Self::Message(at) => (at, 1, MESSAGE),
            Self::Messages(at, count) => (at, count, MESSAGES),
        };
        let mut headers = vec![0; count * size];
        read(thread, start, &mut headers)?;
        headers
            .chunks_exact(size)
            .filter_map(|header| {
                let at = u64::from_ne_bytes(header[..8].try_into().ok()?);
                let length = u32::from_ne_bytes(header[8..12].try_into().ok()?) as usize;
                // The kernel takes what is too long for as long as the longest.
                let length = length.min(LONGEST);
                (at != 0 && length > 0).then_some(Span { at, length })
            })
            .map(|span| span.read(thread))
            .collect()
    }
}

impl Span {
    /// The address there. One that is too long is none in the kernel's eyes either.
    pub(crate) fn read(self, thread: Pid) -> nix::Result<Named> {
        if self.length > LONGEST {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; LONGEST];
        let bytes = &mut bytes[..self.length];
        read(thread, self.at, bytes)?;
        Ok(Named::parse(bytes))
    }
}

fn read(thread: Pid, at: u64, into: &mut [u8]) -> nix::Result<()> {
    if into.is_empty() {
        return Ok(());
    }
    let remote = RemoteIoVec {
        base: usize::try_from(at).map_err(|_beyond| Errno::EFAULT)?,
        len: into.len(),
    };
    let wanted = into.len();
    match process_vm_readv(thread, &mut [IoSliceMut::new(into)], &[remote])? {
        read if read == wanted => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::gettid;

    use super::*;

    fn notice(number: libc::c_long, arguments: [u64; 6]) -> Notice {
        // The tests know what the filter calls native.
        let architecture = if cfg!(target_arch = "x86_64") {
            0xC000_003E
        } else {
            0xC000_00B7
        };
        Notice {
            id: 1,
            thread: gettid(),
            architecture,
            number: number as i32,
            arguments,
        }
    }

    #[test]
    fn names_of_messages_are_read_where_they_are_given() {
        let address: [u8; 16] = [2, 0, 0, 80, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut headers: Vec<u8> = Vec::new();
        for at in [address.as_ptr() as u64, 0] {
            let mut header = vec![0; MESSAGES];
            header[..8].copy_from_slice(&at.to_ne_bytes());
            header[8..12].copy_from_slice(&16u32.to_ne_bytes());
            headers.extend(header);
        }
        let call = Call::of(&notice(
            libc::SYS_sendmmsg,
            [3, headers.as_ptr() as u64, 2, 0, 0, 0],
        ));
        let Call::Send {
            names,
            descriptor: 3,
            opens: false,
        } = call
        else {
            panic!("{call:?}")
        };
        let expected = Named::V4("192.0.2.1".parse().unwrap(), 80);
        assert_eq!(names.read(gettid()).unwrap(), [expected]);
        let call = Call::of(&notice(
            libc::SYS_sendmsg,
            [3, headers.as_ptr() as u64, libc::MSG_FASTOPEN as u64, 0, 0, 0],
        ));
        assert!(matches!(call, Call::Send { opens: true, .. }));
        assert_eq!(Names::Message(8).read(gettid()), Err(Errno::EFAULT));
    }

    #[test]
    fn an_address_that_is_too_long_is_refused_as_the_kernel_does() {
        let call = Call::of(&notice(libc::SYS_connect, [u64::MAX, 8, 129, 0, 0, 0]));
        let Call::Connect {
            descriptor: -1,
            address,
        } = call
        else {
            panic!("{call:?}")
        };
        assert_eq!(address.read(gettid()), Err(Errno::EINVAL));
    }
}
