//! The access log: JSON lines, written by a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use serde::Serialize;

use super::metrics::Tally;

/// Lines that wait for the disk. More are dropped, and counted.
const WAITING_LINES: usize = 65_536;

/// Where the access log goes.
#[derive(Debug)]
pub enum LogTarget {
    /// A file, appended to and opened anew on reload, so that it can be rotated.
    File(PathBuf),
    /// An open file, such as standard output.
    Open(File),
}

enum Message {
    Line(Vec<u8>),
    Reopen,
}

/// Hands lines to the writing thread. The log is complete when the last of them is gone.
#[derive(Debug, Clone)]
pub(crate) struct LogSender(SyncSender<Message>);

impl LogSender {
    pub(crate) fn write(&self, line: &impl Serialize, tally: &Tally) {
        let Ok(mut text) = serde_json::to_vec(line) else {
            return;
        };
        text.push(b'\n');
        if self.0.try_send(Message::Line(text)).is_err() {
            tally.log_line_dropped();
        }
    }

    /// Opens the file anew, after it was renamed.
    pub(crate) fn reopen(&self) {
        // A queue that is full is being written to the old file, which rotation leaves in place.
        let _ = self.0.try_send(Message::Reopen);
    }
}

/// Starts the writing thread.
///
/// # Errors
/// The file cannot be opened, or the thread not be started.
pub(crate) fn start(target: LogTarget) -> io::Result<(LogSender, JoinHandle<()>)> {
    let (path, file) = match target {
        LogTarget::File(path) => {
            let file = open(&path)?;
            (Some(path), file)
        }
        LogTarget::Open(file) => (None, file),
    };
    let (sender, receiver) = sync_channel(WAITING_LINES);
    let thread = std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || write_lines(&receiver, file, path.as_deref()))?;
    Ok((LogSender(sender), thread))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_lines(lines: &Receiver<Message>, file: File, path: Option<&Path>) {
    let mut file = BufWriter::with_capacity(64 * 1024, file);
    let mut healthy = true;
    while let Some(message) = next(lines, &mut file, &mut healthy) {
        match message {
            Message::Line(line) => {
                // Good news is only what reached the disk.
                if let Err(error) = file.write_all(&line) {
                    note(Err(error), &mut healthy);
                }
            }
            Message::Reopen => {
                flush(&mut file, &mut healthy);
                if let Some(path) = path {
                    match open(path) {
                        Ok(new) => file = BufWriter::with_capacity(64 * 1024, new),
                        Err(error) => tracing::warn!("{} cannot be opened: {error}", path.display()),
                    }
                }
            }
        }
    }
    flush(&mut file, &mut healthy);
}

/// The next message. Whatever was written is on its way to the reader before this waits.
fn next(lines: &Receiver<Message>, file: &mut BufWriter<File>, healthy: &mut bool) -> Option<Message> {
    match lines.try_recv() {
        Ok(message) => return Some(message),
        Err(TryRecvError::Disconnected) => return None,
        Err(TryRecvError::Empty) => flush(file, healthy),
    }
    lines.recv().ok()
}

fn flush(file: &mut BufWriter<File>, healthy: &mut bool) {
    if !file.buffer().is_empty() {
        note(file.flush(), healthy);
    }
}

/// Says once that lines are being lost, and once that they no longer are. Serving goes on.
fn note(written: io::Result<()>, healthy: &mut bool) {
    match (written, *healthy) {
        (Err(error), true) => {
            *healthy = false;
            tracing::error!("the access log cannot be written, serving goes on: {error}");
        }
        (Ok(()), false) => {
            *healthy = true;
            tracing::warn!("the access log is written again");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_a_new_file_after_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let (sender, thread) = start(LogTarget::File(path.clone())).unwrap();
        let tally = Tally::default();
        sender.write(&1, &tally);
        let rotated = directory.path().join("access.log.1");
        std::fs::rename(&path, &rotated).unwrap();
        sender.reopen();
        sender.write(&2, &tally);
        drop(sender);
        thread.join().unwrap();
        assert_eq!(std::fs::read_to_string(rotated).unwrap(), "1\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "2\n");
    }

    #[test]
    fn a_full_disk_stops_nothing() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (sender, thread) = start(LogTarget::Open(full)).unwrap();
        sender.write(&"lost", &Tally::default());
        drop(sender);
        thread.join().unwrap();
    }
}
