//! Limits of this host that end a process by a signal rather than by an error.

#![allow(
    unsafe_code,
    reason = "no library sets SIGXFSZ aside or asks where SIGBUS came from"
)]

use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

/// What the shared memory of the ledger is called (SQLite, WAL mode: walformat.html section 3).
const SHARED_MEMORY: &[u8] = b"ledger.sqlite-shm";

const TOLD: &[u8] = b"error: the crawl stopped before the disk was full\n\
    why: SIGBUS at ledger.sqlite-shm, which is mapped into memory: a page of it has no room on the disk or within the \
    quota any more, the file was cut, or the disk fails\n\
    hint: see `df`, `quota` and `dmesg`; make room, then repeat the command to go on: what was committed is safe\n";

/// The exit code of a full disk.
const DISK_FULL: i32 = 3;

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// From now on a file that may grow no further (`ulimit -f`; setrlimit(2), RLIMIT_FSIZE) is an error of the write
/// rather than a signal that kills, and a page of the ledger's memory without room on the disk is told.
pub(super) fn outlive() {
    if INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: SIG_IGN runs no code of ours. The handler calls nothing but open, read, close, write, _exit and signal,
    // which are async-signal-safe (signal-safety(7)), and touches no memory but its own stack.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus_error as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

/// SIGBUS within the ledger's shared memory ends the process with words. Anywhere else it does what it does by default,
/// as soon as the instruction that raised it is repeated.
extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel hands in a valid siginfo; what is called is async-signal-safe.
    unsafe {
        let at = (*info).si_addr() as usize;
        if mapping_has(at, SHARED_MEMORY) {
            libc::write(libc::STDERR_FILENO, TOLD.as_ptr().cast(), TOLD.len());
            libc::_exit(DISK_FULL);
        }
        libc::signal(signal, libc::SIG_DFL);
    }
}

/// Whether the mapping that `address` lies in is of a file whose name ends with `name` (proc_pid_maps(5)). Without
/// allocation, for use in a signal handler.
fn mapping_has(address: usize, name: &[u8]) -> bool {
    // SAFETY: the path ends with a zero, the buffer is as long as read(2) is told.
    unsafe {
        let maps = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if maps < 0 {
            return false;
        }
        let (mut lines, mut buffer, mut found) = (MapLines::new(address, name), [0_u8; 1024], false);
        loop {
            let read = libc::read(maps, buffer.as_mut_ptr().cast(), buffer.len());
            let Ok(read @ 1..) = usize::try_from(read) else {
                break;
            };
            found |= buffer[..read].iter().any(|&byte| lines.take(byte));
            if found {
                break;
            }
        }
        libc::close(maps);
        found
    }
}

/// Reads lines such as `7f00-7f08 rw-s 0 fe:01 9 /job/ledger.sqlite-shm` byte by byte.
struct MapLines<'a> {
    address: usize,
    name: &'a [u8],
    /// The numbers before the dash and behind it, as far as they were read.
    range: [usize; 2],
    field: Field,
    /// How many bytes at the end of the line are the beginning of `name`.
    matched: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Start,
    End,
    Rest,
}

impl<'a> MapLines<'a> {
    fn new(address: usize, name: &'a [u8]) -> Self {
        Self {
            address,
            name,
            range: [0; 2],
            field: Field::Start,
            matched: 0,
        }
    }

    /// Takes the next byte; whether it ends a line that is the one.
    fn take(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            let within = (self.range[0]..self.range[1]).contains(&self.address);
            let is_it = within && self.matched == self.name.len();
            *self = Self::new(self.address, self.name);
            return is_it;
        }
        match (self.field, byte) {
            (Field::Start, b'-') => self.field = Field::End,
            (Field::End, b' ') => self.field = Field::Rest,
            (Field::Start, digit) => self.push(0, digit),
            (Field::End, digit) => self.push(1, digit),
            (Field::Rest, byte) => {
                // No byte of the name but its first can begin it anew.
                self.matched = match self.name.get(self.matched) {
                    Some(&next) if next == byte => self.matched + 1,
                    _ => usize::from(self.name.first() == Some(&byte)),
                };
            }
        }
        false
    }

    fn push(&mut self, end: usize, digit: u8) {
        let value = char::from(digit).to_digit(16).unwrap_or(0);
        self.range[end] = self.range[end].wrapping_shl(4) | value as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_the_mapping_of_a_file_by_its_name() {
        let text = b"55d0-55d8 r--p 00000000 fe:01 1 /usr/bin/v6kit\n\
                     7f00-7f08 rw-s 00000000 fe:01 9 /a/lledger.sqlite-shm\n\
                     7f10-7f18 rw-s 00000000 fe:01 9 /a/ledger.sqlite-shm.old\n\
                     7f20-7f28 rw-p 00000000 00:00 0 \n";
        let found = |address, name: &[u8]| {
            let mut lines = MapLines::new(address, name);
            text.iter().any(|&byte| lines.take(byte))
        };
        assert!(found(0x7f00, SHARED_MEMORY) && found(0x7f07, SHARED_MEMORY));
        assert!(!found(0x7f08, SHARED_MEMORY), "the end is not within");
        assert!(!found(0x7f10, SHARED_MEMORY), "another file");
        assert!(!found(0x7f20, SHARED_MEMORY), "no file");
        assert!(found(0x55d4, b"v6kit"));
        let own = mapping_has as *const () as usize;
        assert!(!mapping_has(own, SHARED_MEMORY));
    }
}
