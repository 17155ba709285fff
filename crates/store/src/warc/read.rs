//! Reading WARC back.

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::value::RawValue;
use v6kit_model::{ErrorKind, Fault};

use crate::record::{Payload, Record, RecordWriter, Timing, Way};

/// The fields of a record, with what a list calls its item and why it failed, in bytes.
const LARGEST_HEAD: u64 = 64 << 20;

/// Reads what [`super::WarcWriter`] wrote, and gives each item as the line that ndjson would have.
#[derive(Debug, Default)]
pub(crate) struct WarcReader {
    lines: RecordWriter,
    line: Vec<u8>,
}

/// The named fields of a WARC record.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn require(&self, name: &str) -> io::Result<&str> {
        self.get(name)
            .ok_or_else(|| bad(format!("a WARC record without {name}")))
    }

    fn parse<T: std::str::FromStr>(&self, name: &str) -> io::Result<T> {
        let text = self.require(name)?;
        text.parse()
            .map_err(|_invalid| bad(format!("`{text}` as {name} of a WARC record")))
    }
}

impl WarcReader {
    /// The next item's line, or `None` at the end.
    pub(crate) fn next(&mut self, records: &mut impl BufRead) -> io::Result<Option<&[u8]>> {
        loop {
            let Some(fields) = read_fields(records)? else {
                return Ok(None);
            };
            let block = read_block(records, fields.parse("Content-Length")?)?;
            match fields.require("WARC-Type")? {
                // One that led elsewhere is no item's.
                "response" if fields.get("V6kit-Pos").is_none() => continue,
                "response" => self.rebuild(&fields, &block)?,
                "metadata" => self.line = block,
                _ => continue,
            }
            return Ok(Some(&self.line));
        }
    }

    fn rebuild(&mut self, fields: &Fields, block: &[u8]) -> io::Result<()> {
        let (status, headers, body) = read_response(block)?;
        let fault = fields.get("V6kit-Error").map(read_fault).transpose()?;
        let at = fields.get("V6kit-At").map_or("WARC-Date", |_| "V6kit-At");
        let at: jiff::Timestamp = fields.parse(at)?;
        let from = fields.get("V6kit-From").map(|_| fields.parse("V6kit-From"));
        let id: Option<Box<RawValue>> = match fields.get("V6kit-Id") {
            Some(json) => Some(serde_json::from_str(json)?),
            None => None,
        };
        let timing = fields.get("V6kit-Timing").map(read_timing).transpose()?;
        self.lines.timing = timing.is_some();
        let target = fields.require("WARC-Target-URI")?;
        let asked = fields.get("V6kit-Url");
        let record = Record {
            id: id.as_deref(),
            position: fields.parse("V6kit-Pos")?,
            url: asked.unwrap_or(target),
            final_url: asked.map(|_| target),
            status: Some(status),
            from: from.transpose()?,
            at: at.into(),
            took: Duration::from_micros(fields.parse("V6kit-Microseconds")?),
            timing: timing.unwrap_or_default(),
            attempts: fields.parse("V6kit-Attempts")?,
            way: Way::default(),
            sent: None,
            answer: Some(Payload {
                headers: &headers.into(),
                body,
                portable: None,
            }),
            fault: fault.as_ref(),
        };
        self.line.clear();
        self.lines.write(&record, &mut self.line);
        Ok(())
    }
}

fn read_timing(json: &str) -> io::Result<Timing> {
    let parts: HashMap<String, f64> = serde_json::from_str(json)?;
    let part = |name| {
        let milliseconds = parts.get(name)?;
        Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
    };
    Ok(Timing {
        name: part("name"),
        connect: part("connect"),
        tls: part("tls"),
        first_byte: part("first_byte"),
    })
}

/// The content of a record and what ends it. A length is believed as far as there are bytes.
fn read_block(records: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut block = Vec::new();
    let read = records.take(length).read_to_end(&mut block)? as u64;
    if read < length {
        let what = format!("a WARC record says that it has {length} bytes, and {read} are there");
        return Err(bad(what));
    }
    let mut end = [0; 4];
    records.read_exact(&mut end)?;
    if end != *b"\r\n\r\n" {
        return Err(bad("a WARC record goes on behind its length".to_owned()));
    }
    Ok(block)
}

fn read_fields(records: &mut impl BufRead) -> io::Result<Option<Fields>> {
    let mut head = records.take(LARGEST_HEAD);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if !line.starts_with("WARC/") {
        return Err(bad("no WARC record".to_owned()));
    }
    let mut fields = Vec::new();
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(bad("a WARC record without an end of its fields".to_owned()));
        }
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Some(Fields(fields)));
        }
        let (name, value) = text
            .split_once(": ")
            .ok_or_else(|| bad(format!("`{text}` in a WARC record")))?;
        fields.push((name.to_owned(), value.to_owned()));
    }
}

fn read_response(block: &[u8]) -> io::Result<(StatusCode, HeaderMap, &[u8])> {
    let lines = block.split(|byte| *byte == b'\n');
    let fields = lines.skip(1).take_while(|line| !matches!(line, [] | [b'\r']));
    let mut room = vec![httparse::EMPTY_HEADER; fields.count()];
    let mut response = httparse::Response::new(&mut room);
    let parsed = response
        .parse(block)
        .map_err(|error| bad(format!("the HTTP response in a WARC record: {error}")))?;
    let (httparse::Status::Complete(length), Some(code)) = (parsed, response.code) else {
        return Err(bad("half an HTTP response in a WARC record".to_owned()));
    };
    let mut headers = HeaderMap::new();
    for header in response.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(header.value)) {
            headers.append(name, value);
        }
    }
    let status = StatusCode::from_u16(code).map_err(|error| bad(error.to_string()))?;
    Ok((status, headers, &block[length..]))
}

fn read_fault(text: &str) -> io::Result<Fault> {
    let fault = text.split_once(' ').and_then(|(kind, message)| {
        let kind = ErrorKind::ALL.iter().find(|known| known.as_str() == kind)?;
        Some(Fault::new(*kind, serde_json::from_str::<String>(message).ok()?))
    });
    fault.ok_or_else(|| bad(format!("`{text}` as V6kit-Error")))
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
