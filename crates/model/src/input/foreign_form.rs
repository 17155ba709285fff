//! Files that are given as lists and are none.

use crate::input::packing::Packing;
use crate::protocol::without_mark;

/// What a file seems to be that holds no lines with URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignForm {
    /// Text in units of two bytes, with what iconv(1) calls it.
    Utf16(&'static str),
    /// Text in units of four bytes.
    Utf32,
    /// Packed in a way that is not read.
    Packed {
        /// What it is.
        form: &'static str,
        /// The command that unpacks a file to standard output.
        command: &'static str,
    },
    /// No text.
    Binary(&'static str),
    /// HTML, XML and the like.
    Markup(Markup),
    /// One JSON array of strings.
    JsonStrings,
    /// One JSON array of something else.
    JsonArray,
    /// JSON objects over several lines each.
    JsonObjects,
    /// URLs in quotation marks, one per line.
    Quoted,
    /// Lines that end in a carriage return alone.
    CarriageReturns,
    /// Columns with a separator, one of which holds URLs.
    Columns {
        /// What stands between them.
        separator: char,
        /// Which one holds URLs, from 1.
        column: usize,
        /// Whether the first line names the columns.
        has_header: bool,
        /// Whether a separator may stand within quotation marks (RFC 4180 section 2).
        has_quotes: bool,
    },
}

/// A form of text that is not lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// <https://www.sitemaps.org/protocol.html>.
    Sitemap,
    /// Anything else.
    Other,
}

/// What binary files begin with, what they are, and the command that unpacks them where there is one.
const MAGIC: [(&[u8], &str, Option<&str>); 12] = [
    (b"\x1f\x8b", "packed with gzip once more", Some("zcat")),
    (b"\x28\xb5\x2f\xfd", "packed with zstd once more", Some("zstdcat")),
    (b"\xfd7zXZ\0", "packed with xz", Some("xz -dc")),
    (b"BZh", "packed with bzip2", Some("bzip2 -dc")),
    (b"\x04\x22\x4d\x18", "packed with lz4", Some("lz4 -dc")),
    (b"LZIP", "packed with lzip", Some("lzip -dc")),
    (b"\x1f\x9d", "packed with compress", Some("uncompress -c")),
    (b"PK\x03\x04", "a zip archive", Some("unzip -p")),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", Some("7z e -so")),
    (b"PAR1", "a Parquet file", None),
    (b"SQLite format 3\0", "an SQLite database", None),
    (b"%PDF-", "a PDF", None),
];

/// Where a tar archive says so (tar(5)), in bytes.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// How much of a file is looked at for what no text holds, in bytes.
const LOOKED_AT: usize = 1024;

impl ForeignForm {
    /// As the end of a sentence.
    pub(crate) fn is(self) -> String {
        let form = match self {
            Self::Utf16(_) => "UTF-16, not UTF-8",
            Self::Utf32 => "UTF-32, not UTF-8",
            Self::Packed { form, .. } | Self::Binary(form) => form,
            Self::Markup(Markup::Sitemap) => "a sitemap, not a line for each item",
            Self::Markup(Markup::Other) => "HTML or XML, not a line for each item",
            Self::JsonStrings | Self::JsonArray => "one JSON array, not a line for each item",
            Self::JsonObjects => "JSON over several lines, not a line for each item",
            Self::Quoted => return "holds URLs in quotation marks".to_owned(),
            Self::CarriageReturns => "one line with carriage returns in it",
            Self::Columns {
                separator, column, ..
            } => {
                let form = match separator {
                    '\t' => "tab-separated columns",
                    '|' => "columns",
                    _ => "CSV",
                };
                return format!("is {form}, with URLs in column {column}");
            }
        };
        format!("is {form}")
    }

    /// The command that makes a list of `what`, which is packed so.
    pub(crate) fn conversion(self, what: &str, packing: Packing) -> String {
        let file = if what == "standard input" { "FILE" } else { what };
        let file = format!("'{}'", file.replace('\'', "'\\''"));
        let unpack = match packing {
            Packing::None => None,
            Packing::Gzip => Some(format!("zcat {file}")),
            Packing::Zstd => Some(format!("zstdcat {file}")),
        };
        let Some(filters) = self.filters() else {
            return "give a file with one URL per line, plain or packed with gzip or zstd".to_owned();
        };
        let mut words = match &unpack {
            None if filters[0].starts_with(PYTHON) => format!("{} <{file}", filters[0]),
            None => format!("{} {file}", filters[0]),
            // These programs read a file that they are given by name alone.
            Some(unpack) => format!("{unpack} | {}", filters[0]),
        };
        for filter in &filters[1..] {
            words.push_str(" | ");
            words.push_str(filter);
        }
        words + " >list, and give list"
    }

    /// Commands that make a list of it, the first of which takes a file as its operand or reads standard input.
    fn filters(self) -> Option<Vec<String>> {
        let filters = match self {
            Self::Utf16(name) => return Some(vec![format!("iconv -f {name} -t UTF-8")]),
            Self::Utf32 => vec!["iconv -f UTF-32 -t UTF-8"],
            Self::Packed { command, .. } => vec![command],
            Self::Binary(_) | Self::Markup(Markup::Other) => return None,
            Self::Markup(Markup::Sitemap) => {
                vec!["grep -o '<loc>[^<]*'", "cut -c 6-", "sed 's/&amp;/\\&/g'"]
            }
            Self::JsonStrings => vec!["jq -r '.[]'"],
            Self::JsonArray => vec!["jq -c '.[]'"],
            Self::JsonObjects => vec!["jq -c ."],
            Self::Quoted => vec!["cut -d '\"' -f 2"],
            Self::CarriageReturns => vec!["sed 's/\\r/\\n/g'"],
            Self::Columns {
                separator,
                column,
                has_header,
                has_quotes: true,
            } => return Some(vec![quoted_column(separator, column, has_header)]),
            Self::Columns {
                separator,
                column,
                has_header,
                has_quotes: false,
            } => {
                let delimiter = if separator == '\t' {
                    String::new()
                } else {
                    format!(" -d '{separator}'")
                };
                let header = has_header.then(|| "tail -n +2".to_owned());
                let column = format!("cut{delimiter} -f {column}");
                return Some(header.into_iter().chain([column]).collect());
            }
        };
        Some(filters.into_iter().map(ToOwned::to_owned).collect())
    }
}

/// What reads quoted columns on any usual host, and takes bytes of other character sets as they are.
const PYTHON: &str = "PYTHONIOENCODING=utf-8-sig:surrogateescape python3 -c";

/// The command that prints a column of CSV whose fields may hold separators and line breaks.
fn quoted_column(separator: char, column: usize, has_header: bool) -> String {
    let separator = separator.escape_default();
    let header = if has_header { "next(rows); " } else { "" };
    let index = column - 1;
    format!(
        "{PYTHON} 'import csv, sys; rows = csv.reader(sys.stdin, delimiter=\"{separator}\", skipinitialspace=True); \
         {header}sys.stdout.writelines(row[{index}].strip() + \"\\n\" for row in rows if row[{index}:])'"
    )
}

/// What the file that begins with `start` seems to be, where it is no list.
pub(crate) fn sniff(start: &[u8]) -> Option<ForeignForm> {
    if let Some(form) = binary(start) {
        return Some(form);
    }
    let text = without_mark(start).trim_ascii_start();
    if let Some(rest) = text.strip_prefix(b"[")
        && !is_bracketed_address(rest)
    {
        return match rest.trim_ascii_start().first() {
            Some(b'"') => Some(ForeignForm::JsonStrings),
            Some(b'{' | b'[' | b']' | b'0'..=b'9') => Some(ForeignForm::JsonArray),
            _ => None,
        };
    }
    if let Some(markup) = markup(text) {
        return Some(ForeignForm::Markup(markup));
    }
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    if lines.next() == Some(b"{") && lines.next().is_some_and(|line| line.starts_with(b"\"")) {
        return Some(ForeignForm::JsonObjects);
    }
    if !text.contains(&b'\n') && text.trim_ascii_end().contains(&b'\r') {
        return Some(ForeignForm::CarriageReturns);
    }
    if is_quoted(text) {
        return Some(ForeignForm::Quoted);
    }
    columns(text)
}

/// What a file is that is no text in UTF-8, or packed.
fn binary(start: &[u8]) -> Option<ForeignForm> {
    if matches!(start, [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..]) {
        return Some(ForeignForm::Utf32);
    }
    if matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Some(ForeignForm::Utf16("UTF-16"));
    }
    let beginning = &start[..start.len().min(LOOKED_AT)];
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    let has_controls = beginning.iter().any(is_control);
    if let Some((_, form, command)) = MAGIC.iter().find(|(magic, ..)| start.starts_with(magic))
        // Lines of a list may begin so, too.
        && (has_controls || !is_utf8(beginning))
    {
        return Some(match *command {
            Some(command) => ForeignForm::Packed { form, command },
            None => ForeignForm::Binary(form),
        });
    }
    if start.get(TAR_MAGIC) == Some(b"ustar") {
        return Some(ForeignForm::Packed {
            form: "a tar archive",
            command: "tar -xOf",
        });
    }
    if let Some(name) = utf16_without_mark(start) {
        return Some(ForeignForm::Utf16(name));
    }
    (has_controls || memchr::memchr(0, start).is_some()).then_some(ForeignForm::Binary("no text"))
}

/// Whether it is UTF-8, perhaps cut within a character.
fn is_utf8(text: &[u8]) -> bool {
    std::str::from_utf8(text).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// Whether a text begins as HTML or XML does.
fn markup(text: &[u8]) -> Option<Markup> {
    const BEGINNINGS: [&[u8]; 5] = [b"<?xml", b"<!doctype", b"<html", b"<urlset", b"<sitemapindex"];
    let begins = |with: &[u8]| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    BEGINNINGS.into_iter().any(begins).then(|| {
        if memchr::memmem::find(text, b"<loc>").is_some() {
            Markup::Sitemap
        } else {
            Markup::Other
        }
    })
}

/// Whether the first lines hold a URL in quotation marks each, or the first a word and the others such a URL.
fn is_quoted(text: &[u8]) -> bool {
    let is_word = |line: &[u8]| {
        let inner = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
        inner.is_some_and(|inner| !inner.contains(&b'"'))
    };
    let mut lines = first_lines(text).into_iter();
    let Some(first) = lines.next().filter(|line| is_word(line)) else {
        return false;
    };
    let is_url_in_quotes = |line: &[u8]| is_word(line) && is_url(line);
    let rest: Vec<&[u8]> = lines.collect();
    rest.iter().all(|line| is_url_in_quotes(line)) && (is_url(first) || !rest.is_empty())
}

/// The first lines that are not blank and end within `text`, without white space around them.
fn first_lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(20)
        .collect()
}

/// Every second byte of ASCII in UTF-16 is 0: which one tells the order of bytes.
fn utf16_without_mark(start: &[u8]) -> Option<&'static str> {
    let pairs = start.chunks_exact(2).take(64);
    let total = pairs.len();
    let zeros = |at: usize| pairs.clone().filter(|pair| pair[at] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    match total >= 8 && first != second {
        true if first * 10 >= total * 9 => Some("UTF-16BE"),
        true if second * 10 >= total * 9 => Some("UTF-16LE"),
        _ => None,
    }
}

/// `[::1]:80` and the like are for other messages.
fn is_bracketed_address(rest: &[u8]) -> bool {
    let end = memchr::memchr(b']', rest).unwrap_or(0);
    std::str::from_utf8(&rest[..end]).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// The first lines hold the same number of fields, and the same one of them begins like a URL in all but the first.
fn columns(text: &[u8]) -> Option<ForeignForm> {
    let lines = first_lines(text);
    let (first, behind) = lines.split_first()?;
    // A list of URLs, whatever their queries hold.
    if behind.is_empty()
        || is_url(first) && behind.iter().all(|line| is_url(line)) && !has_field_behind(first)
    {
        return None;
    }
    [b',', b';', b'\t', b'|'].into_iter().find_map(|separator| {
        let rows = first_rows(text, separator);
        let (first, behind) = rows.split_first()?;
        let count = first.len();
        if count < 2 || behind.is_empty() || behind.iter().any(|row| row.len() < count) {
            return None;
        }
        let column = (0..count).find(|column| behind.iter().all(|row| is_url(&row[*column])))?;
        Some(ForeignForm::Columns {
            separator: separator.into(),
            column: column + 1,
            has_header: !is_url(&first[column]),
            has_quotes: text.contains(&b'"'),
        })
    })
}

/// The fields of the first rows that are not empty and end within `text`.
fn first_rows(text: &[u8], separator: u8) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv_core::ReaderBuilder::new().delimiter(separator).build();
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), vec![0; text.len()]);
    let mut rest = text;
    // An empty input would be the end of the file, which is not known here.
    while !rest.is_empty() && rows.len() < 20 {
        let (result, read, written) = reader.read_field(rest, &mut field);
        rest = &rest[read..];
        let csv_core::ReadFieldResult::Field { record_end } = result else {
            break;
        };
        row.push(field[..written].trim_ascii().to_vec());
        if record_end {
            rows.push(std::mem::take(&mut row));
        }
    }
    rows
}

fn is_url(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    let field = field.strip_prefix(b"\"").unwrap_or(field);
    [&b"http://"[..], b"https://"].iter().any(|scheme| {
        field
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// White space or quotation marks are no part of a URL: what stands behind them is another field.
fn has_field_behind(line: &[u8]) -> bool {
    line.iter().any(|byte| matches!(byte, b'\t' | b'"'))
}

#[cfg(test)]
mod tests;
