//! Standard error, which nobody may be reading: a full pipe or a stopped terminal must hold up neither the work nor
//! its end.
//!
//! Commands that go on for long call [`write_in_background`]: from then on a thread writes what they say, lines that
//! find no room are dropped and counted, and [`settle`] waits only for as long as somebody reads. Before that call
//! lines are written where they are said: a process that is to enter a namespace has one thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::TermLike;

/// How much may wait to be written, in bytes.
const ROOM: usize = 1 << 20;

/// For how long nothing may be taken until standard error counts as unread.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much something matters, as syslog(3) counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
    Debug = 7,
}

/// What is to be written, in order.
#[derive(Debug, Default)]
struct Queue {
    texts: VecDeque<String>,
    /// Their bytes, and those of the one that is being written.
    bytes: usize,
    /// Lines that found no room since this was last said.
    dropped: u64,
    /// Texts that were written.
    taken: u64,
    /// When waiting for a reader was given up, and what had been taken then.
    unread: Option<u64>,
}

#[derive(Debug, Default)]
struct Background {
    queue: Mutex<Queue>,
    changed: Condvar,
}

static BACKGROUND: OnceLock<&'static Background> = OnceLock::new();

/// From now on a thread writes to standard error, and nobody waits for it. Where none can be started, lines are
/// written where they are said, as before.
///
/// The thread has the capabilities of its caller: whoever gives some up does so first.
pub(crate) fn write_in_background() {
    if BACKGROUND.get().is_some() {
        return;
    }
    // Not through `io::stderr`: a write that hangs must not keep its lock.
    let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() else {
        return;
    };
    let background: &'static Background = Box::leak(Box::default());
    let thread = std::thread::Builder::new()
        .name("stderr".to_owned())
        .spawn(move || background.write_to(&mut File::from(stderr)));
    if thread.is_ok() {
        let _ = BACKGROUND.set(background);
    }
}

/// Writes `text`, or hands it to the thread that does.
pub(crate) fn write(text: &str) {
    match BACKGROUND.get() {
        Some(background) => background.push(text),
        // Of a reader that has gone away nobody can be told.
        None => drop(io::stderr().lock().write_all(text.as_bytes())),
    }
}

/// Waits until everything is written, or nobody has read for [`PATIENCE`]. Called before standard output is written
/// to, so that lines of both come in order.
pub(crate) fn settle() {
    if let Some(background) = BACKGROUND.get() {
        background.settle(PATIENCE);
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "systemd tells it to the process, nobody to a command"
)]
fn journal_stream() -> Option<String> {
    std::env::var("JOURNAL_STREAM").ok()
}

/// Whether standard error is the journal's, which takes the severity of a line from its beginning (sd-daemon(3)).
pub(crate) fn is_journal() -> bool {
    static IS_JOURNAL: OnceLock<bool> = OnceLock::new();
    *IS_JOURNAL.get_or_init(|| {
        let Some(stream) = journal_stream() else {
            return false;
        };
        let file = io::stderr().as_fd().try_clone_to_owned().map(File::from);
        // A variable that was inherited may speak of another stream (systemd.exec(5)).
        file.and_then(|file| file.metadata())
            .is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
    })
}

/// `text` with the severity before each line where the journal reads it.
pub(crate) fn with_severity(text: &str, severity: Severity) -> String {
    if !is_journal() {
        return text.to_owned();
    }
    let lines = text.lines().map(|line| format!("<{}>{line}", severity as u8));
    lines.collect::<Vec<_>>().join("\n")
}

impl Background {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, text: &str) {
        let mut queue = self.queue();
        if queue.bytes + text.len() > ROOM {
            queue.dropped += 1;
            return;
        }
        queue.bytes += text.len();
        queue.texts.push_back(text.to_owned());
        drop(queue);
        self.changed.notify_all();
    }

    /// Writes what comes, for ever.
    fn write_to(&self, stderr: &mut impl Write) {
        loop {
            let mut queue = self.queue();
            while queue.texts.is_empty() {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(mut text) = queue.texts.pop_front() else {
                continue;
            };
            let length = text.len();
            // What is missing was said after what waits.
            if queue.texts.is_empty() && queue.dropped > 0 {
                let dropped = std::mem::take(&mut queue.dropped);
                text.push_str(&with_severity(
                    &format!("{dropped} lines were dropped: nobody read standard error"),
                    Severity::Warning,
                ));
                text.push('\n');
            }
            drop(queue);
            // As with `io::stderr`, of a reader that has gone away nobody can be told.
            let _ = stderr.write_all(text.as_bytes());
            let mut queue = self.queue();
            queue.bytes -= length;
            queue.taken += 1;
            queue.unread = None;
            drop(queue);
            self.changed.notify_all();
        }
    }

    fn settle(&self, patience: Duration) {
        let mut queue = self.queue();
        let mut taken = queue.taken;
        let mut since = Instant::now();
        while queue.bytes > 0 && queue.unread != Some(queue.taken) {
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                queue.unread = Some(queue.taken);
                return;
            }
            (queue, _) = self
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner);
            if queue.taken != taken {
                (taken, since) = (queue.taken, Instant::now());
            }
        }
    }
}

/// Takes one line of the log at a time.
#[derive(Debug)]
pub(crate) struct LogLine;

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal, for a display that is drawn over and over: what is drawn is handed over as a whole.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: Mutex<String>,
}

impl Screen {
    fn draw(&self, text: &str) -> io::Result<()> {
        self.drawn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(text);
        Ok(())
    }

    /// ECMA-48, 8.3: CUU, CUD, CUF and CUB.
    fn turn(&self, count: usize, direction: char) -> io::Result<()> {
        match count {
            0 => Ok(()),
            count => self.draw(&format!("\x1b[{count}{direction}")),
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        console::Term::stderr().size().1
    }

    fn height(&self) -> u16 {
        console::Term::stderr().size().0
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.turn(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.turn(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.turn(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.turn(count, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(text)?;
        self.draw("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        if !drawn.is_empty() {
            write(&drawn);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use super::*;

    /// Starts a writer into a pipe; it ends with the test's process.
    fn piped() -> (Arc<Background>, io::PipeReader) {
        let (reader, mut writer) = io::pipe().unwrap();
        let background = Arc::new(Background::default());
        let writing = Arc::clone(&background);
        std::thread::spawn(move || writing.write_to(&mut writer));
        (background, reader)
    }

    #[test]
    fn a_reader_that_never_reads_holds_up_nobody_and_later_learns_what_is_missing() {
        let (background, mut reader) = piped();
        let line = format!("{}\n", "x".repeat(1023));
        // More than a pipe (64 KiB) and the queue hold together.
        for _ in 0..3 * ROOM / line.len() {
            background.push(&line);
        }
        background.settle(Duration::from_millis(1));
        assert!(background.queue().bytes <= ROOM);
        let dropped = background.queue().dropped;
        assert!(dropped > 0);
        // It reads after all.
        let told = format!("{dropped} lines were dropped: nobody read standard error\n");
        let mut read = Vec::new();
        let mut piece = [0; 4096];
        while !read.ends_with(told.as_bytes()) {
            let length = reader.read(&mut piece).unwrap();
            read.extend_from_slice(&piece[..length]);
        }
        background.settle(PATIENCE);
        assert_eq!(background.queue().bytes, 0);
        let lines = read.split(|&byte| byte == b'\n').count() - 2;
        assert_eq!(lines as u64 + dropped, 3 * (ROOM / line.len()) as u64);
    }

    #[test]
    fn lines_are_written_in_order_and_waited_for() {
        let (background, mut reader) = piped();
        for number in 0..10 {
            background.push(&format!("{number}\n"));
        }
        background.settle(PATIENCE);
        assert_eq!(background.queue().bytes, 0);
        let mut read = [0; 20];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_trouble() {
        let (background, reader) = piped();
        drop(reader);
        background.push("line\n");
        background.settle(PATIENCE);
        assert_eq!(background.queue().bytes, 0);
    }
}
