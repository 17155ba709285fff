//! The readers of segments, for the fuzz targets: each panics where a promise does not hold.

use crate::line::LineHead;
use crate::warc::WarcReader;

/// Reads the head of a line of ndjson in both ways, which agree on the position where both read one.
pub fn read_line(line: &[u8]) {
    if let (Some(head), Some(whole)) = (LineHead::read(line), LineHead::parse(line)) {
        assert_eq!(head.position, whole.position);
    }
}

/// Reads WARC records to their end or to the first that is damaged: a line takes no more than what it is made of is
/// worth, with every character escaped.
pub fn read_warc(mut records: &[u8]) {
    let most = 8 * records.len() + 1024;
    let mut reader = WarcReader::default();
    while let Ok(Some(line)) = reader.next(&mut records) {
        assert!(line.len() <= most, "{} bytes", line.len());
    }
}
