//! WARC 1.1 (ISO 28500:2017): what was sent and what came, as it was.
//!
//! An item with an answer is a `response` and a `request` record, behind those of each answer that led there; one
//! without is a `metadata` record that holds the line that ndjson would have. What a record of HTTP cannot tell is
//! in `V6kit-` fields of the response, and the outcome of an item in a field of the record that is the item's.
//! Fields are those that came, but for what was undone: content codings, and the framing where there is a body.

mod read;

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::time::SystemTime;

use data_encoding::BASE32;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, LOCATION, TRANSFER_ENCODING};
use http::{HeaderName, Method, StatusCode};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use sha1::{Digest, Sha1};
use v6kit_model::input::shown;
use v6kit_model::url::{text_of, without_credentials};
use v6kit_model::{Head, Protocol, Version};

pub(crate) use self::read::WarcReader;
use crate::record::{Hop, Payload, Record, RecordWriter, Sent, push_timing};
use crate::storage::Storage;

const CRLF: &[u8] = b"\r\n";

/// What every record begins with.
const VERSION: &str = "WARC/1.1\r\n";

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
        for hop in record.way.hops {
            self.write_hop(hop, out, ends);
        }
        let from = Origin::of(record);
        match (&record.answer, record.status) {
            (Some(answer), Some(status)) => {
                let method = record.sent.as_ref().map(|sent| sent.method);
                self.put_response(status, method, answer);
                let id = self.begin("response", &from, out);
                push(out, &["WARC-Payload-Digest: ", &digest(answer.body), "\r\n"]);
                self.push_item(record, out);
                self.finish("application/http;msgtype=response", out);
                ends.push(out.len());
                if let Some(sent) = &record.sent {
                    self.write_request(&from, sent, &id, out);
                    ends.push(out.len());
                }
            }
            _ => {
                self.write_metadata(record, out);
                ends.push(out.len());
            }
        }
    }

    /// The answer that led elsewhere and its request, which are no item's.
    fn write_hop(&mut self, hop: &Hop, out: &mut Vec<u8>, ends: &mut Vec<usize>) {
        let from = Origin {
            url: &hop.url,
            at: hop.at,
            peer: hop.peer,
            protocol: Some(hop.protocol),
        };
        let answer = Payload {
            headers: &hop.answer.headers,
            body: &hop.answer.body,
            portable: None,
        };
        self.put_response(hop.answer.status, Some(&hop.method), &answer);
        let id = self.begin("response", &from, out);
        push(out, &["WARC-Payload-Digest: ", &digest(answer.body), "\r\n"]);
        if hop.is_cut {
            push(out, &["WARC-Truncated: length\r\n"]);
        }
        self.finish("application/http;msgtype=response", out);
        ends.push(out.len());
        self.write_request(&from, &hop.sent(), &id, out);
        ends.push(out.len());
    }

    /// Makes the block of a response.
    fn put_response(&mut self, status: StatusCode, method: Option<&Method>, answer: &Payload<'_>) {
        let Payload { headers, body, .. } = *answer;
        let block = &mut self.block;
        block.clear();
        let head = headers.head();
        let version = match head.map(Head::version) {
            Some(Version::Http10) => "HTTP/1.0 ",
            Some(Version::Http11) | None => "HTTP/1.1 ",
        };
        push(block, &[version, status.as_str(), " "]);
        match head {
            Some(head) => block.extend_from_slice(head.reason()),
            None => push(block, &[status.canonical_reason().unwrap_or("")]),
        }
        block.extend_from_slice(CRLF);
        // What it says of a length is about the answer to another method or at another time (RFC 9110 section 8.6).
        let is_without_body = body.is_empty() && has_no_body(status, method);
        let is_decoded = headers.get(&CONTENT_ENCODING).is_none();
        let is_kept = |name: &str| {
            let is = |other: HeaderName| name.eq_ignore_ascii_case(other.as_str());
            let is_framing = is(CONTENT_LENGTH) || is(TRANSFER_ENCODING);
            // The body is whole here and in one piece.
            (is_without_body || !is_framing) && !(is_decoded && is(CONTENT_ENCODING))
        };
        let mut push_kept = |name: &str, value: &[u8]| {
            if !is_kept(name) {
            } else if name.eq_ignore_ascii_case(LOCATION.as_str()) && value.contains(&b'@') {
                // Of passwords nothing is stored.
                let value = text_of(value);
                push_field(block, name, without_credentials(&value).as_bytes());
            } else {
                push_field(block, name, value);
            }
        };
        match head {
            Some(head) => head.fields().for_each(|(name, value)| push_kept(name, value)),
            None => headers
                .map()
                .iter()
                .for_each(|(name, value)| push_kept(name.as_str(), value.as_bytes())),
        }
        if !is_without_body {
            push(block, &["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        block.extend_from_slice(CRLF);
        block.extend_from_slice(body);
    }

    fn write_request(&mut self, from: &Origin<'_>, sent: &Sent<'_>, response: &str, out: &mut Vec<u8>) {
        let block = &mut self.block;
        block.clear();
        let slash = if sent.path.starts_with('/') { "" } else { "/" };
        push(block, &[sent.method.as_str(), " ", slash, sent.path]);
        push(block, &[" HTTP/1.1\r\n"]);
        push_field(block, "Host", sent.host);
        for (name, value) in sent.headers.iter().filter(|(name, _)| *name != HOST) {
            if value.is_sensitive() {
                push_field(block, name.as_str(), shown(value).as_bytes());
            } else {
                push_field(block, name.as_str(), value.as_bytes());
            }
        }
        if !sent.body.is_empty() || matches!(*sent.method, Method::POST | Method::PUT | Method::PATCH) {
            push(block, &["Content-Length: ", &sent.body.len().to_string(), "\r\n"]);
        }
        block.extend_from_slice(CRLF);
        block.extend_from_slice(sent.body);
        self.begin("request", from, out);
        push(out, &["WARC-Concurrent-To: <", response, ">\r\n"]);
        self.finish("application/http;msgtype=request", out);
    }

    fn write_metadata(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.block);
        line.clear();
        self.lines.write(record, &mut line);
        self.block = line;
        let from = Origin {
            url: record.url,
            ..Origin::of(record)
        };
        self.begin("metadata", &from, out);
        push(out, &["V6kit-Outcome: ", record.outcome().as_str(), "\r\n"]);
        self.finish("application/json", out);
    }

    /// Begins a record of this kind; its name.
    fn begin(&mut self, kind: &str, from: &Origin<'_>, out: &mut Vec<u8>) -> String {
        let id = self.id();
        push(out, &[VERSION, "WARC-Type: ", kind, "\r\nWARC-Record-ID: <", &id]);
        push(out, &[">\r\nWARC-Target-URI: ", from.url, "\r\nWARC-Date: "]);
        self.lines.push_time(out, from.at);
        out.extend_from_slice(CRLF);
        if let Some(peer) = from.peer {
            push(out, &["WARC-IP-Address: ", &peer.to_string(), "\r\n"]);
        }
        if let Some(protocol) = from.protocol {
            let name = match protocol {
                Protocol::Http1 => "http/1.1",
                Protocol::Http2 if from.url.starts_with("https:") => "h2",
                Protocol::Http2 => "h2c",
            };
            push(out, &["WARC-Protocol: ", name, "\r\n"]);
        }
        id
    }

    fn push_item(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
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
        if record.way.at.is_some() {
            push(out, &["V6kit-At: "]);
            self.lines.push_time(out, record.at);
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

/// Where the block of a record came from.
struct Origin<'a> {
    url: &'a str,
    at: SystemTime,
    peer: Option<Ipv6Addr>,
    protocol: Option<Protocol>,
}

impl<'a> Origin<'a> {
    /// Of the last answer, behind all redirects.
    fn of(record: &Record<'a>) -> Self {
        Self {
            url: record.final_url.unwrap_or(record.url),
            at: record.way.at.unwrap_or(record.at),
            peer: record.way.peer,
            protocol: record.way.protocol,
        }
    }
}

/// Whether an answer has no body whatever its header says (RFC 9112 section 6.3).
fn has_no_body(status: StatusCode, method: Option<&Method>) -> bool {
    method == Some(&Method::HEAD)
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// A name for the `warcinfo` record of a file.
pub(crate) fn info_id() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // One a file: the time and the process are enough to tell it from others.
    let seed = u128::from(std::process::id()) << 96 ^ since.unwrap_or_default().as_nanos();
    urn(seed.to_be_bytes())
}

/// The `warcinfo` record of that name that the file called `file` begins with.
pub(crate) fn info(id: &str, file: &str) -> Vec<u8> {
    let block = concat!(
        "software: v6kit/",
        env!("CARGO_PKG_VERSION"),
        "\r\nformat: WARC File Format 1.1\r\n"
    );
    let mut out = Vec::new();
    push(
        &mut out,
        &[VERSION, "WARC-Type: warcinfo\r\nWARC-Record-ID: <", id],
    );
    push(&mut out, &[">\r\nWARC-Filename: ", file, "\r\nWARC-Date: "]);
    RecordWriter::default().push_time(&mut out, SystemTime::now());
    push(&mut out, &["\r\nContent-Type: application/warc-fields\r\n"]);
    push(&mut out, &["Content-Length: ", &block.len().to_string()]);
    push(&mut out, &["\r\n\r\n", block, "\r\n\r\n"]);
    out
}

/// Appends `record` to `out` as one of the file whose `warcinfo` record has the name `info`.
pub(crate) fn push_with_info(record: &[u8], info: &str, out: &mut Vec<u8>) {
    let rest = record.strip_prefix(VERSION.as_bytes()).unwrap_or(record);
    push(out, &[VERSION, "WARC-Warcinfo-ID: <", info, ">\r\n"]);
    out.extend_from_slice(rest);
}

fn urn(bytes: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .urn()
        .to_string()
}

fn digest(data: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(data)))
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    parts
        .iter()
        .for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push(out, &[name, ": "]);
    out.extend_from_slice(value);
    out.extend_from_slice(CRLF);
}

#[cfg(test)]
mod tests;
