//! Content codings (RFC 9110 section 8.4), undone.

use std::io::{self, Read};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use v6kit_model::{Answer, ErrorKind, Fault, TransferCoding};

use super::unfolded::Unfolded;

/// The largest window that a zstd frame may ask for: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Codings one upon the other that are undone. Each costs time and memory that the site does not spend; curl takes 5.
const MOST_CODINGS: usize = 5;

/// What is unfolded at first, in bytes.
const PIECE: usize = 64 << 10;

/// What servers write for no coding: words for none, character sets, and the framing of uploads to object stores.
const NO_CODING: [&str; 12] = [
    "identity",
    "none",
    "null",
    "binary",
    "8bit",
    "7bit",
    "utf-8",
    "utf8",
    "us-ascii",
    "iso-8859-1",
    "text",
    "aws-chunked",
];

/// Is told how many bytes there are in memory with the next piece of what a body unfolds to, and may wait for them.
pub(crate) type Room<'a> = &'a mut dyn FnMut(usize);

/// Replaces a coded body by what it stands for, and takes away the headers that spoke of the coding.
///
/// # Errors
/// [`ErrorKind::Decode`] when it is damaged, [`ErrorKind::Coding`] when it is coded in a way that was not asked for, or
/// too often, [`ErrorKind::BodyTooLarge`] when it unfolds beyond `max_body`.
pub(crate) fn decode(answer: &mut Answer, max_body: u64, room: Room<'_>) -> Result<(), Fault> {
    if answer.headers.get(&CONTENT_ENCODING).is_none() || answer.body.is_empty() {
        return Ok(());
    }
    let codings = codings(answer.headers.map());
    if codings.len() > MOST_CODINGS {
        let message = format!(
            "the body is coded {} times, and {MOST_CODINGS} are undone",
            codings.len()
        );
        return Err(Fault::new(ErrorKind::Coding, message));
    }
    let mut before = 0;
    for coding in codings.iter().rev() {
        answer.body = undo(coding, &answer.body, max_body, &mut |bytes| room(before + bytes))?;
        before = answer.body.len();
    }
    for header in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        answer.headers.remove(&header);
    }
    Ok(())
}

/// Undoes what was done to the body for its way alone. It is no data before, whatever becomes of its content coding.
///
/// # Errors
/// [`ErrorKind::Decode`] when it is damaged, [`ErrorKind::BodyTooLarge`] when it unfolds beyond `max_body`.
pub(crate) fn undo_transfer(answer: &mut Answer, max_body: u64, room: Room<'_>) -> Result<(), Fault> {
    let mut before = 0;
    while let Some(coding) = answer.transfer_codings.pop() {
        let coding = match coding {
            TransferCoding::Gzip => "gzip",
            TransferCoding::Deflate => "deflate",
        };
        let decoded = undo(coding, &answer.body, max_body, &mut |bytes| room(before + bytes));
        if decoded.is_err() {
            answer.body = Bytes::new();
        }
        answer.body = decoded?;
        before = answer.body.len();
    }
    Ok(())
}

/// What can be had of a body whose end is not there or does not count: what its beginning stands for, at most `most`
/// bytes of it.
pub(crate) fn first(answer: &Answer, most: u64) -> Bytes {
    let transfer = answer.transfer_codings.iter().map(|coding| match coding {
        TransferCoding::Gzip => "gzip",
        TransferCoding::Deflate => "deflate",
    });
    let codings = codings(answer.headers.map());
    let applied: Vec<&str> = codings.iter().map(String::as_str).chain(transfer).collect();
    let mut body = answer.body.clone();
    for coding in applied.iter().rev().take(MOST_CODINGS) {
        let mut decoded = Vec::new();
        let part: &[u8] = &body;
        let reader: Box<dyn Read> = match *coding {
            "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(part)),
            "deflate" if is_zlib(part) => Box::new(flate2::read::ZlibDecoder::new(part)),
            "deflate" => Box::new(flate2::read::DeflateDecoder::new(part)),
            "br" => Box::new(brotli_decompressor::Decompressor::new(part, 4096)),
            "zstd" => match zstd_reader(part) {
                Ok(reader) => Box::new(reader),
                Err(_damaged) => return Bytes::new(),
            },
            _ => return Bytes::new(),
        };
        // What came before the damage counts.
        let _ = reader.take(most).read_to_end(&mut decoded);
        body = decoded.into();
    }
    body
}

/// The codings in the order in which they were applied.
fn codings(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && !NO_CODING.contains(&coding.as_str()))
        .collect()
}

fn undo(coding: &str, body: &[u8], max_body: u64, room: Room<'_>) -> Result<Bytes, Fault> {
    let decoded = match coding {
        "gzip" | "x-gzip" => members(body, max_body, room),
        // Some servers send the bare deflate data that the name suggests instead of zlib's.
        "deflate" if is_zlib(body) => read(flate2::read::ZlibDecoder::new(body), max_body, room),
        "deflate" => read(flate2::read::DeflateDecoder::new(body), max_body, room),
        "br" => read(brotli_decompressor::Decompressor::new(body, 4096), max_body, room),
        "zstd" => zstd_reader(body).and_then(|reader| read(reader, max_body, room)),
        other => {
            return Err(Fault::new(
                ErrorKind::Coding,
                format!("the coding `{other}` was not asked for"),
            ));
        }
    };
    match decoded {
        Ok(Some(decoded)) => Ok(decoded),
        Ok(None) => Err(Fault::new(
            ErrorKind::BodyTooLarge,
            format!("the body unfolds to more than {max_body} bytes"),
        )),
        Err(error) if is_want_of_memory(&error) => Err(Fault::new(
            ErrorKind::Resources,
            format!("there is no memory left to undo {coding}: {error}"),
        )),
        Err(error) => Err(Fault::new(
            ErrorKind::Decode,
            format!("the {coding} body is damaged: {error}"),
        )),
    }
}

/// Whether this host is to blame. libzstd says it in words alone (`ZSTD_getErrorName`).
fn is_want_of_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory || error.to_string().contains("not enough memory")
}

/// The members of a gzip file (RFC 1952 section 2.2). What stands behind the last one and is no member, such as zeros
/// or a line break, is no part of it, as gzip(1) and curl have it.
fn members(body: &[u8], limit: u64, room: Room<'_>) -> io::Result<Option<Bytes>> {
    let (mut decoded, mut rest) = (Unfolded::default(), body);
    loop {
        let mut member = flate2::bufread::GzDecoder::new(rest);
        if !read_into(&mut decoded, &mut member, limit, room)? {
            return Ok(None);
        }
        rest = member.into_inner();
        if !rest.starts_with(&[0x1f, 0x8b]) {
            return Ok(Some(decoded.into_bytes()));
        }
    }
}

/// RFC 1950 section 2.2: method 8, and a header that is a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 15 == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

fn zstd_reader(body: &[u8]) -> io::Result<impl Read> {
    let mut reader = zstd::stream::read::Decoder::with_buffer(body)?;
    reader.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(reader)
}

/// All of `reader`, or `None` when there is more than `limit`.
fn read(mut reader: impl Read, limit: u64, room: Room<'_>) -> io::Result<Option<Bytes>> {
    let mut decoded = Unfolded::default();
    let is_whole = read_into(&mut decoded, &mut reader, limit, room)?;
    Ok(is_whole.then(|| decoded.into_bytes()))
}

/// Appends what `reader` holds to `decoded`, and says whether that is all, with which there are no more than `limit`.
fn read_into(decoded: &mut Unfolded, reader: &mut impl Read, limit: u64, room: Room<'_>) -> io::Result<bool> {
    let most = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
    loop {
        // It doubles, and goes no further than it has to.
        let piece = decoded.len().max(PIECE).min(most - decoded.len());
        room(decoded.len() + piece);
        let read = decoded.fill(reader, piece, most)?;
        if decoded.len() == most {
            return Ok(false);
        }
        if read < piece {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn answer(coding: &str, body: Vec<u8>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, coding.parse().unwrap());
        headers.insert(CONTENT_LENGTH, body.len().into());
        Answer {
            status: http::StatusCode::OK,
            headers: headers.into(),
            body: body.into(),
            ..Answer::default()
        }
    }

    #[test]
    fn the_beginning_of_a_coded_body_can_be_had() {
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let zstd = zstd::bulk::compress(&text, 1).unwrap();
        for (coding, coded) in [("gzip", gzip(&text)), ("zstd", zstd)] {
            let cut = coded[..coded.len() - 1000].to_vec();
            let had = first(&answer(coding, cut), 1 << 20);
            assert!(
                had.len() > text.len() / 2 && text.starts_with(&had),
                "{coding}: {}",
                had.len()
            );
            assert_eq!(first(&answer(coding, coded), 1000), text[..1000], "{coding}");
        }
        assert_eq!(first(&answer("rot13", text.clone()), 1000), "");
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    const TEXT: &[u8] = b"{\"a\":1}";

    #[test]
    fn every_coding_that_is_asked_for_is_undone() {
        let brotli = b"\x0b\x03\x80{\"a\":1}\x03".to_vec();
        let both = zstd::encode_all(&gzip(TEXT)[..], 3).unwrap();
        for (coding, body) in [
            ("gzip", gzip(TEXT)),
            ("GZIP", gzip(TEXT)),
            ("deflate", zlib(TEXT)),
            ("deflate", deflate(TEXT)),
            ("br", brotli),
            ("zstd", zstd::encode_all(TEXT, 3).unwrap()),
            ("gzip, zstd", both),
            ("identity", TEXT.to_vec()),
            ("None, ISO-8859-1", TEXT.to_vec()),
            ("aws-chunked,gzip", gzip(TEXT)),
            ("gzip", [gzip(b"{\"a\""), gzip(b":1}")].concat()),
            ("gzip", [&gzip(TEXT)[..], b"\0\0\0\0"].concat()),
            ("gzip", [&gzip(TEXT)[..], b"\r\n<!-- -->"].concat()),
        ] {
            let mut answer = answer(coding, body);
            decode(&mut answer, 1000, &mut |_| {}).unwrap();
            assert_eq!(&answer.body[..], TEXT, "{coding}");
            assert!(answer.headers.map().is_empty(), "{coding}");
        }
    }

    #[test]
    fn what_is_not_coded_or_empty_stays_as_it_came() {
        let mut plain = answer("gzip", TEXT.to_vec());
        plain.headers.remove(&CONTENT_ENCODING);
        // As to a HEAD request.
        let empty = answer("gzip", Vec::new());
        for mut answer in [plain, empty] {
            let (body, headers) = (answer.body.clone(), answer.headers.map().clone());
            decode(&mut answer, 1000, &mut |_| panic!("room is asked for")).unwrap();
            assert_eq!(answer.body, body);
            assert_eq!(answer.headers.map(), &headers);
        }
    }

    #[test]
    fn five_codings_are_undone() {
        let coded = (0..MOST_CODINGS).fold(TEXT.to_vec(), |body, _| gzip(&body));
        let mut answer = answer(&["gzip"; MOST_CODINGS].join(","), coded);
        decode(&mut answer, 1000, &mut |_| {}).unwrap();
        assert_eq!(&answer.body[..], TEXT);
    }

    #[test]
    fn room_for_what_was_undone_before_is_asked_for_together_with_the_next() {
        // What does not get smaller.
        let text: Vec<u8> = (0..40_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let mut answer = answer("identity", gzip(&deflate(&text)));
        answer.transfer_codings = vec![TransferCoding::Deflate, TransferCoding::Gzip];
        let mut asked = Vec::new();
        undo_transfer(&mut answer, 1_000_000, &mut |bytes| asked.push(bytes)).unwrap();
        assert_eq!(answer.body, text);
        let inner = deflate(&text).len();
        assert_eq!(asked, [PIECE, inner + PIECE]);
    }

    #[test]
    fn codings_of_the_connection_are_undone_below_those_of_the_content() {
        let mut answer = answer("zstd", deflate(&gzip(&zstd::encode_all(TEXT, 3).unwrap())));
        answer.transfer_codings = vec![TransferCoding::Gzip, TransferCoding::Deflate];
        undo_transfer(&mut answer, 1000, &mut |_| {}).unwrap();
        decode(&mut answer, 1000, &mut |_| {}).unwrap();
        assert_eq!(&answer.body[..], TEXT);
        answer.transfer_codings = vec![TransferCoding::Gzip];
        assert_eq!(
            undo_transfer(&mut answer, 1000, &mut |_| {}).unwrap_err().kind,
            ErrorKind::Decode
        );
        assert!(answer.body.is_empty(), "what cannot be undone is no data");
    }

    #[test]
    fn damage_and_bombs_are_told() {
        let mut cut = gzip(TEXT);
        cut.truncate(12);
        assert_eq!(
            decode(&mut answer("gzip", cut), 1000, &mut |_| {})
                .unwrap_err()
                .kind,
            ErrorKind::Decode
        );
        for coding in ["rot13", &["gzip"; 6].join(",")] {
            let fault = decode(&mut answer(coding, TEXT.to_vec()), 1000, &mut |_| {}).unwrap_err();
            assert_eq!(fault.kind, ErrorKind::Coding, "{coding}");
        }
        let bomb = gzip(&vec![0; 10_000_000]);
        assert_eq!(
            decode(&mut answer("gzip", bomb), 1_000_000, &mut |_| {})
                .unwrap_err()
                .kind,
            ErrorKind::BodyTooLarge
        );
    }

    #[test]
    fn room_is_asked_for_before_it_is_taken() {
        let body = vec![b'x'; 3_000_000];
        for codings in ["gzip", "gzip, gzip"] {
            let coded = codings.split(',').fold(body.clone(), |body, _| gzip(&body));
            let (mut answer, mut asked) = (answer(codings, coded), Vec::new());
            decode(&mut answer, 5_000_000, &mut |bytes| asked.push(bytes)).unwrap();
            assert_eq!(answer.body, body);
            assert!(asked.iter().any(|bytes| *bytes >= body.len()), "{asked:?}");
            assert!(
                asked.iter().all(|bytes| *bytes <= 2 * body.len() + PIECE),
                "{asked:?}"
            );
            // Not all at once: a bomb is waited for as it unfolds.
            assert!(asked[0] <= PIECE && asked.len() > 4, "{asked:?}");
        }
    }
}
