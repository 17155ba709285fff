//! WARC 1.1 (ISO 28500:2017): what was sent and what came, as it was.
//!
//! An item with an answer is a `response` and a `request` record; one without is a `metadata` record that
//! holds the line that ndjson would have. What a record of HTTP cannot tell is in `V6kit-` fields of the
//! response, and the outcome of an item in the field of its first record.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead};
use std::time::{Duration, SystemTime};

use data_encoding::BASE32;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use serde_json::value::RawValue;
use sha1::{Digest, Sha1};
use v6kit_model::input::shown;
use v6kit_model::{ErrorKind, Fault};

use crate::record::{Payload, Record, RecordWriter, Sent, Timing, push_timing};
use crate::storage::Storage;

const CRLF: &[u8] = b"\r\n";

/// Writes records as WARC.
#[derive(Debug)]
pub(crate) struct WarcWriter {
    lines: RecordWriter,
    random: Xoshiro256PlusPlus,
    block: Vec<u8>,
}

impl WarcWriter {
    pub(crate) fn new(storage: &Storage, random: Xoshiro256PlusPlus) -> Self {
        Self {
            lines: RecordWriter::new(storage),
            random,
            block: Vec::new(),
        }
    }

    /// Appends the WARC records of one item, and to `ends` where each of them ends.
    pub(crate) fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>, ends: &mut Vec<usize>) {
        match (&record.answer, record.status) {
            (Some(answer), Some(status)) => {
                let id = self.write_response(record, answer, status, out);
                ends.push(out.len());
                if let Some(sent) = &record.sent {
                    self.write_request(record, sent, &id, out);
                    ends.push(out.len());
                }
            }
            _ => {
                self.write_metadata(record, out);
                ends.push(out.len());
            }
        }
    }

    fn write_response(
        &mut self,
        record: &Record<'_>,
        answer: &Payload<'_>,
        status: StatusCode,
        out: &mut Vec<u8>,
    ) -> String {
        self.block.clear();
        push(
            &mut self.block,
            &[
                "HTTP/1.1 ",
                status.as_str(),
                " ",
                status.canonical_reason().unwrap_or(""),
            ],
        );
        let length = HeaderValue::from(answer.body.len());
        let headers = answer
            .headers
            .map()
            .iter()
            // The body is whole here and in one piece.
            .filter(|(name, _)| !is_framing(name))
            .chain([(&http::header::CONTENT_LENGTH, &length)]);
        push_headers(&mut self.block, headers);
        let payload_digest = digest(answer.body);
        self.block.extend_from_slice(answer.body);

        let id = self.id();
        self.begin("response", &id, target(record), record, out);
        push(out, &["WARC-Payload-Digest: ", &payload_digest, "\r\n"]);
        self.push_fields(record, out);
        self.finish("application/http;msgtype=response", out);
        id
    }

    fn write_request(&mut self, record: &Record<'_>, sent: &Sent<'_>, response: &str, out: &mut Vec<u8>) {
        self.block.clear();
        let slash = if sent.path.starts_with('/') { "" } else { "/" };
        push(
            &mut self.block,
            &[sent.method.as_str(), " ", slash, sent.path, " HTTP/1.1"],
        );
        let length = HeaderValue::from(sent.body.len());
        let length = (!sent.body.is_empty()).then_some((&http::header::CONTENT_LENGTH, &length));
        push_headers(&mut self.block, sent.headers.iter().chain(length));
        self.block.extend_from_slice(sent.body);

        let id = self.id();
        self.begin("request", &id, target(record), record, out);
        push(out, &["WARC-Concurrent-To: <", response, ">\r\n"]);
        self.finish("application/http;msgtype=request", out);
    }

    fn write_metadata(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.block);
        line.clear();
        self.lines.write(record, &mut line);
        self.block = line;
        let id = self.id();
        self.begin("metadata", &id, record.url, record, out);
        push(out, &["V6kit-Outcome: ", record.outcome().as_str(), "\r\n"]);
        self.finish("application/json", out);
    }

    fn begin(&mut self, kind: &str, id: &str, target: &str, record: &Record<'_>, out: &mut Vec<u8>) {
        push(
            out,
            &["WARC/1.1\r\nWARC-Type: ", kind, "\r\nWARC-Record-ID: <", id],
        );
        push(out, &[">\r\nWARC-Target-URI: ", target, "\r\nWARC-Date: "]);
        self.lines.push_time(out, record.at);
        out.extend_from_slice(CRLF);
    }

    fn push_fields(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut fields = format!(
            "V6kit-Outcome: {}\r\nV6kit-Pos: {}\r\nV6kit-Attempts: {}\r\nV6kit-Microseconds: {}\r\n",
            record.outcome(),
            record.position,
            record.attempts,
            record.took.as_micros()
        );
        // Writing to a String does not fail.
        if let Some(id) = record.id {
            let _ = write!(fields, "V6kit-Id: {id}\r\n");
        }
        if record.final_url.is_some() {
            let _ = write!(fields, "V6kit-Url: {}\r\n", record.url);
        }
        if let Some(from) = record.from {
            let _ = write!(fields, "V6kit-From: {from}\r\n");
        }
        if let Some(fault) = record.fault {
            let message = serde_json::json!(fault.message);
            let _ = write!(fields, "V6kit-Error: {} {message}\r\n", fault.kind);
        }
        out.extend_from_slice(fields.as_bytes());
        if self.lines.timing {
            out.extend_from_slice(b"V6kit-Timing: ");
            push_timing(out, &record.timing);
            out.extend_from_slice(CRLF);
        }
    }

    /// The rest of a record whose block is [`WarcWriter::block`].
    fn finish(&self, content_type: &str, out: &mut Vec<u8>) {
        let length = self.block.len().to_string();
        push(out, &["WARC-Block-Digest: ", &digest(&self.block), "\r\n"]);
        push(out, &["Content-Type: ", content_type, "\r\n"]);
        push(out, &["Content-Length: ", &length, "\r\n\r\n"]);
        out.extend_from_slice(&self.block);
        push(out, &["\r\n\r\n"]);
    }

    fn id(&mut self) -> String {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        urn(bytes)
    }
}

/// Where the answer came from: behind all redirects.
fn target<'a>(record: &Record<'a>) -> &'a str {
    record.final_url.unwrap_or(record.url)
}

/// The `warcinfo` record that a file begins with.
pub(crate) fn info() -> Vec<u8> {
    let block = concat!(
        "software: v6kit/",
        env!("CARGO_PKG_VERSION"),
        "\r\nformat: WARC File Format 1.1\r\n"
    );
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // One a file: the time and the process are enough to tell it from others.
    let seed = u128::from(std::process::id()) << 96 ^ since.as_nanos();
    let mut out = Vec::new();
    push(
        &mut out,
        &[
            "WARC/1.1\r\nWARC-Type: warcinfo\r\nWARC-Record-ID: <",
            &urn(seed.to_be_bytes()),
        ],
    );
    push(&mut out, &[">\r\nWARC-Date: "]);
    RecordWriter::default().push_time(&mut out, now);
    let length = block.len().to_string();
    push(
        &mut out,
        &[
            "\r\nContent-Type: application/warc-fields\r\nContent-Length: ",
            &length,
        ],
    );
    push(&mut out, &["\r\n\r\n", block, "\r\n\r\n"]);
    out
}

fn urn(bytes: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .urn()
        .to_string()
}

fn is_framing(name: &HeaderName) -> bool {
    *name == http::header::CONTENT_LENGTH || *name == http::header::TRANSFER_ENCODING
}

fn digest(data: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(data)))
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    parts
        .iter()
        .for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn push_headers<'h>(out: &mut Vec<u8>, headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) {
    out.extend_from_slice(CRLF);
    for (name, value) in headers {
        push(out, &[name.as_str(), ": "]);
        if value.is_sensitive() {
            out.extend_from_slice(shown(value).as_bytes());
        } else {
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(CRLF);
    }
    out.extend_from_slice(CRLF);
}

/// Reads what [`WarcWriter`] wrote, and gives each item as the line that ndjson would have.
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
            let mut block = vec![0; fields.parse("Content-Length")?];
            records.read_exact(&mut block)?;
            records.read_exact(&mut [0; 4])?;
            match fields.require("WARC-Type")? {
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
        let at: jiff::Timestamp = fields.parse("WARC-Date")?;
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

fn read_fields(records: &mut impl BufRead) -> io::Result<Option<Fields>> {
    let mut line = String::new();
    if records.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if !line.starts_with("WARC/") {
        return Err(bad("no WARC record".to_owned()));
    }
    let mut fields = Vec::new();
    loop {
        line.clear();
        records.read_line(&mut line)?;
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
    let mut room = [httparse::EMPTY_HEADER; 256];
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
