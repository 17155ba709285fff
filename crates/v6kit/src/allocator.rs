//! Memory, and what is said where there is none.

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write as _;

use mimalloc::MiMalloc;

use crate::failure::Exit;

/// Ends the process in words where the system gives no more memory, as under `ulimit -v`: the language aborts. What was
/// committed is safe, as it is after a kill.
pub(crate) struct Told(pub(crate) MiMalloc);

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one only passes calls on"
)]
// SAFETY: every call goes to an allocator with the same arguments, and its result comes back as it is.
unsafe impl GlobalAlloc for Told {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the caller warrants is what is asked for.
        told(unsafe { self.0.alloc(layout) }, layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        told(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        told(unsafe { self.0.realloc(pointer, layout, size) }, size)
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

#[inline]
fn told(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        end(bytes);
    }
    pointer
}

#[cold]
#[inline(never)]
fn end(bytes: usize) -> ! {
    let mut words = [0; 512];
    let mut rest = &mut words[..];
    // Nothing is allocated for this, and what does not fit is left out.
    let _ = match v6kit_net::address_space() {
        Some(limit) => write!(
            rest,
            "\nerror: this process gets no more memory\nwhy: it may have {limit} bytes of address space (`ulimit -v`)\nhint: raise \
             that limit, or let it take less (--memory, -c); a crawl goes on when its command is repeated\n"
        ),
        None => write!(
            rest,
            "\nerror: this process gets no more memory\nwhy: the system has none for the {bytes} bytes that were asked for\nhint: \
             let it take less (--memory, -c); a crawl goes on when its command is repeated\n"
        ),
    };
    let left = rest.len();
    let length = words.len() - left;
    let _ = nix::unistd::write(std::io::stderr(), &words[..length]);
    // What runs at an orderly exit may ask for memory.
    signal_hook::low_level::exit(Exit::OutOfService.code().into())
}
