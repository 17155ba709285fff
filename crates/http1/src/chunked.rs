//! The chunked transfer coding (RFC 9112 section 7.1), undone.
//!
//! httparse has a reader of chunk sizes as well. It takes an empty line for the last chunk and lets a line feed
//! stand within an extension, either of which moves the end of the message.

use crate::error::{Error, Violation};

/// Extensions of all chunks of an answer together, in bytes.
const EXTENSIONS: usize = 16 * 1024;
/// The line of a chunk's size, in bytes. What is not digits counts as an extension.
const SIZE_LINE: usize = 4 * 1024;
/// Fields behind the last chunk, in bytes.
const TRAILERS: usize = 32 * 1024;
/// Larger sizes are refused before they are added up. RFC 9112 section 7.1 wants parsers to expect such.
const LARGEST: u64 = i64::MAX as u64;

/// A decoder that is shown bytes as they come, in whatever pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// Bytes of the present line.
    line: usize,
    /// Bytes of extensions so far.
    extensions: usize,
    /// Bytes of trailers so far.
    trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first digit of a size is next.
    FirstDigit,
    Digits(u64),
    /// White space behind the digits.
    Space(u64),
    Extension(u64),
    /// The line feed behind a size.
    SizeFeed(u64),
    Data(u64),
    DataReturn,
    DataFeed,
    /// At the beginning of a line behind the last chunk.
    TrailerStart,
    Trailer,
    TrailerFeed,
    /// The line feed of the blank line.
    LastFeed,
    Done,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            state: State::FirstDigit,
            line: 0,
            extensions: 0,
            trailers: 0,
        }
    }

    /// Whether the message has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Appends the content of `bytes` to `body`, up to `limit` bytes of it, and returns how many bytes it used: all, or those up
    /// to the end of the message.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::TooLarge`].
    pub(crate) fn decode(&mut self, bytes: &[u8], body: &mut Vec<u8>, limit: u64) -> Result<usize, Error> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            if let State::Data(left) = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                body.extend_from_slice(&bytes[at..at + here]);
                at += here;
                self.state = match left - here as u64 {
                    0 => State::DataReturn,
                    left => State::Data(left),
                };
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
            if let State::Data(size) = self.state
                && size > limit.saturating_sub(body.len() as u64)
            {
                return Err(Error::TooLarge { limit });
            }
        }
        Ok(at)
    }

    /// What a byte that is no content leads to.
    fn step(&mut self, byte: u8) -> Result<State, Violation> {
        match self.state {
            State::FirstDigit => {
                self.line = 1;
                digit(byte).map(State::Digits).ok_or(Violation::ChunkSize)
            }
            State::Digits(size) | State::Space(size) => self.behind_digits(size, byte),
            State::Extension(size) => self.extension(size, byte),
            State::SizeFeed(0) => expect(byte, b'\n', State::TrailerStart, Violation::ChunkSize),
            State::SizeFeed(size) => expect(byte, b'\n', State::Data(size), Violation::ChunkSize),
            State::DataReturn => expect(byte, b'\r', State::DataFeed, Violation::ChunkEnd),
            State::DataFeed => expect(byte, b'\n', State::FirstDigit, Violation::ChunkEnd),
            State::TrailerStart => self.trailer(byte, State::LastFeed),
            State::Trailer => self.trailer(byte, State::TrailerFeed),
            State::TrailerFeed => expect(byte, b'\n', State::TrailerStart, Violation::Trailers),
            State::LastFeed => expect(byte, b'\n', State::Done, Violation::Trailers),
            // Neither is asked.
            State::Data(_) | State::Done => Ok(self.state),
        }
    }

    fn behind_digits(&mut self, size: u64, byte: u8) -> Result<State, Violation> {
        self.count_line()?;
        match (self.state, byte) {
            (_, b'\r') => Ok(State::SizeFeed(size)),
            (_, b';') => Ok(State::Extension(size)),
            (_, b' ' | b'\t') => Ok(State::Space(size)),
            (State::Digits(_), byte) => digit(byte)
                .and_then(|digit| size.checked_mul(16)?.checked_add(digit))
                .filter(|size| *size <= LARGEST)
                .map(State::Digits)
                .ok_or(Violation::ChunkSize),
            _ => Err(Violation::ChunkSize),
        }
    }

    fn extension(&mut self, size: u64, byte: u8) -> Result<State, Violation> {
        self.count_line()?;
        self.extensions += 1;
        if self.extensions > EXTENSIONS {
            return Err(Violation::ExtensionTooLarge { limit: EXTENSIONS });
        }
        match byte {
            b'\r' => Ok(State::SizeFeed(size)),
            byte if is_text(byte) => Ok(State::Extension(size)),
            _ => Err(Violation::ChunkSize),
        }
    }

    fn count_line(&mut self) -> Result<(), Violation> {
        self.line += 1;
        if self.line > SIZE_LINE {
            return Err(Violation::ExtensionTooLarge { limit: SIZE_LINE });
        }
        Ok(())
    }

    /// A byte of a trailer, and where a CR leads to. Trailers are passed over, whatever they say.
    fn trailer(&mut self, byte: u8, ended: State) -> Result<State, Violation> {
        self.trailers += 1;
        if self.trailers > TRAILERS {
            return Err(Violation::TrailersTooLarge { limit: TRAILERS });
        }
        match byte {
            b'\r' => Ok(ended),
            b'\n' | 0 => Err(Violation::Trailers),
            _ => Ok(State::Trailer),
        }
    }
}

fn expect(byte: u8, wanted: u8, next: State, otherwise: Violation) -> Result<State, Violation> {
    if byte == wanted { Ok(next) } else { Err(otherwise) }
}

fn digit(byte: u8) -> Option<u64> {
    (byte as char).to_digit(16).map(u64::from)
}

/// RFC 9110 section 5.6.4, more widely: no control character but HTAB.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(pieces: usize, message: &[u8]) -> (Result<bool, String>, Vec<u8>, usize) {
        let (mut decoder, mut body, mut used) = (Decoder::new(), Vec::new(), 0);
        for piece in message.chunks(pieces) {
            match decoder.decode(piece, &mut body, 1000) {
                Ok(more) => used += more,
                Err(error) => return (Err(format!("{error:?}")), body, used),
            }
        }
        (Ok(decoder.is_done()), body, used)
    }

    /// Reads `message` in pieces of every size, which have to agree.
    #[track_caller]
    fn read(message: &[u8]) -> (Result<bool, String>, Vec<u8>, usize) {
        let whole = read_in(message.len(), message);
        for pieces in 1..message.len() {
            let (cut, _, _) = read_in(pieces, message);
            assert_eq!(
                cut,
                whole.0,
                "{:?} in pieces of {pieces}",
                message.escape_ascii().to_string()
            );
        }
        whole
    }

    #[test]
    fn chunks_are_put_together_and_what_is_behind_them_is_left() {
        for message in [
            "5\r\nhello\r\n0\r\n\r\n",
            "05\r\nhello\r\n000\r\n\r\n",
            "0000000000000000000000005\r\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0 \t\r\n\r\n",
            "5\t;a\r\nhello\r\n0\r\n\r\n",
            "5;a=\"b;c\";d\r\nhello\r\n0;last\r\n\r\n",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n folded\r\n\r\n",
        ] {
            let behind = format!("{message}HTTP/1.1 200 OK\r\n");
            assert_eq!(
                read(behind.as_bytes()),
                (Ok(true), b"hello".to_vec(), message.len()),
                "{message:?}"
            );
        }
        let long = format!("{:x}\r\n{}\r\n0\r\n\r\n", 300, "x".repeat(300));
        assert_eq!(read(long.as_bytes()).1.len(), 300);
    }

    #[test]
    fn nothing_but_a_number_is_a_size() {
        for size in [
            "",
            ";",
            ";a",
            " ",
            " 5",
            "\t5",
            "x",
            "+5",
            "-5",
            "0x5",
            "5x",
            "0_5",
            "5 5",
            "5,",
            "5.0",
            "\0",
            "5\0",
            "FFFFFFFFFFFFFFFF",
            "8000000000000000",
            "10000000000000005",
            "5\r5",
            "5\n",
            "5;a=\nb",
            "5;a\rb",
            "5;a\0b",
        ] {
            let (result, _, _) = read(format!("{size}\r\nhello\r\n0\r\n\r\n").as_bytes());
            assert_eq!(result, Err("Malformed(ChunkSize)".to_owned()), "{size:?}");
        }
    }

    #[test]
    fn a_chunk_ends_where_its_size_says_and_with_a_line_break() {
        for message in [
            "5\r\nhello!\r\n0\r\n\r\n",
            "6\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloXX0\r\n\r\n",
        ] {
            let (result, _, _) = read(message.as_bytes());
            assert!(
                result.is_err_and(|error| error.contains("ChunkEnd")),
                "{message:?}"
            );
        }
        let (result, _, _) = read(b"5\nhello\r\n0\r\n\r\n");
        assert!(result.is_err());
    }

    #[test]
    fn the_last_chunk_is_not_the_end() {
        for message in [
            "5\r\nhello\r\n",
            "5\r\nhello\r\n0",
            "5\r\nhello\r\n0\r\n",
            "5\r\nhello\r\n0\r\n\r",
            "5\r\nhello\r\n0\r\nX: y\r\n",
        ] {
            assert_eq!(read(message.as_bytes()).0, Ok(false), "{message:?}");
        }
    }

    #[test]
    fn trailers_end_with_line_breaks_and_do_end() {
        for trailers in [
            "\n",
            "X: y\n\r\n",
            "X: y\rz\r\n\r\n",
            "\rX\r\n\r\n",
            "X\0: y\r\n\r\n",
        ] {
            let (result, _, _) = read(format!("0\r\n{trailers}").as_bytes());
            assert_eq!(result, Err("Malformed(Trailers)".to_owned()), "{trailers:?}");
        }
        let endless = format!("0\r\n{}", "X: y\r\n".repeat(TRAILERS / 5 + 2));
        assert!(
            read_in(1000, endless.as_bytes())
                .0
                .is_err_and(|error| error.contains("TrailersTooLarge"))
        );
    }

    #[test]
    fn extensions_have_an_end() {
        let long = format!("1;{}", "x".repeat(SIZE_LINE));
        assert!(
            read_in(100, long.as_bytes())
                .0
                .is_err_and(|error| error.contains("ExtensionTooLarge"))
        );
        let zeros = "0".repeat(SIZE_LINE + 1);
        assert!(read_in(100, zeros.as_bytes()).0.is_err());
        let many = format!("1;{}\r\nx\r\n", "x".repeat(1000)).repeat(EXTENSIONS / 1000 + 1);
        assert!(
            read_in(100, many.as_bytes())
                .0
                .is_err_and(|error| error.contains("ExtensionTooLarge"))
        );
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused_before_its_data_comes() {
        for message in ["3E9\r\n", "1F4\r\n", "7fffffffffffffff\r\n"] {
            let mut body = vec![b'x'; 501];
            let result = Decoder::new().decode(message.as_bytes(), &mut body, 1000);
            assert!(
                matches!(result, Err(Error::TooLarge { limit: 1000 })),
                "{message}"
            );
            assert_eq!(body.len(), 501);
        }
    }
}
