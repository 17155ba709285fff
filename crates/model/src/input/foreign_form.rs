//! Files that are given as lists and are none.

/// What a file seems to be that holds no lines with URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignForm {
    /// Text in units of two bytes.
    Utf16,
    /// No text.
    Binary,
    /// One JSON array of strings.
    JsonStrings,
    /// One JSON array of something else.
    JsonArray,
    /// Columns with a separator, one of which holds URLs.
    Columns {
        /// What stands between them.
        separator: char,
        /// Which one holds URLs, from 1.
        column: usize,
        /// Whether the first line names the columns.
        has_header: bool,
    },
}

impl ForeignForm {
    /// As the end of a sentence.
    pub(crate) fn is(self) -> String {
        match self {
            Self::Utf16 => "is UTF-16, not UTF-8".to_owned(),
            Self::Binary => "is no text".to_owned(),
            Self::JsonStrings | Self::JsonArray => "is one JSON array, not a line for each item".to_owned(),
            Self::Columns {
                separator, column, ..
            } => {
                let form = match separator {
                    '\t' => "tab-separated columns",
                    '|' => "columns",
                    _ => "CSV",
                };
                format!("is {form}, with URLs in column {column}")
            }
        }
    }

    /// The command that makes a list of `what`.
    pub(crate) fn conversion(self, what: &str) -> String {
        let file = if what == "standard input" { "FILE" } else { what };
        let file = format!("'{}'", file.replace('\'', "'\\''"));
        match self {
            Self::Utf16 => format!("iconv -f UTF-16 -t UTF-8 {file} >list, and give list"),
            Self::Binary => "give a file with one URL per line, plain or packed with gzip or zstd".to_owned(),
            Self::JsonStrings => format!("jq -r '.[]' {file} >list, and give list"),
            Self::JsonArray => format!("jq -c '.[]' {file} >list, and give list"),
            Self::Columns {
                separator,
                column,
                has_header,
            } => {
                let delimiter = if separator == '\t' {
                    String::new()
                } else {
                    format!(" -d '{separator}'")
                };
                let body = if has_header { "tail -n +2 " } else { "cat " };
                format!("{body}{file} | cut{delimiter} -f {column} | tr -d '\"' >list, and give list")
            }
        }
    }
}

/// What the file that begins with `start` seems to be, where it is no list.
pub(crate) fn sniff(start: &[u8]) -> Option<ForeignForm> {
    if matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) || looks_like_utf16(start) {
        return Some(ForeignForm::Utf16);
    }
    if memchr::memchr(0, start).is_some() {
        return Some(ForeignForm::Binary);
    }
    let text = start
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(start)
        .trim_ascii_start();
    if let Some(rest) = text.strip_prefix(b"[")
        && !is_bracketed_address(rest)
    {
        return match rest.trim_ascii_start().first() {
            Some(b'"') => Some(ForeignForm::JsonStrings),
            Some(b'{' | b'[' | b']' | b'0'..=b'9') => Some(ForeignForm::JsonArray),
            _ => None,
        };
    }
    columns(text)
}

/// Every second byte of ASCII in UTF-16 is 0.
fn looks_like_utf16(start: &[u8]) -> bool {
    let pairs = start.chunks_exact(2).take(64);
    let total = pairs.len();
    let zeros = |at: usize| pairs.clone().filter(|pair| pair[at] == 0).count();
    total >= 8 && (zeros(0) * 10 >= total * 9 || zeros(1) * 10 >= total * 9) && zeros(0) != zeros(1)
}

/// `[::1]:80` and the like are for other messages.
fn is_bracketed_address(rest: &[u8]) -> bool {
    let end = memchr::memchr(b']', rest).unwrap_or(0);
    std::str::from_utf8(&rest[..end]).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// The first lines hold the same number of fields, and the same one of them begins like a URL in all but the first.
fn columns(text: &[u8]) -> Option<ForeignForm> {
    let lines: Vec<&[u8]> = text
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(20)
        .collect();
    let (first, behind) = lines.split_first()?;
    // A list of URLs, whatever their queries hold.
    if behind.is_empty()
        || is_url(first) && behind.iter().all(|line| is_url(line)) && !has_field_behind(first)
    {
        return None;
    }
    for separator in [',', ';', '\t', '|'] {
        let fields = |line: &[u8]| line.split(|byte| char::from(*byte) == separator).count();
        let count = fields(first);
        if count < 2 || behind.iter().any(|line| fields(line) < count) {
            continue;
        }
        let field = |line: &[u8], column: usize| -> bool {
            let field = line.split(|byte| char::from(*byte) == separator).nth(column);
            field.is_some_and(is_url)
        };
        let column = (0..count).find(|column| behind.iter().all(|line| field(line, *column)))?;
        return Some(ForeignForm::Columns {
            separator,
            column: column + 1,
            has_header: !field(first, column),
        });
    }
    None
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
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn lists_are_not_taken_for_anything_else() {
        for text in [
            "http://h/1\nhttp://h/2\n",
            "http://h/?a=1,2\nhttp://h/?a=3,4\n",
            "http://h/a|b\nhttp://h/a|c\n",
            "\u{feff}http://h/1\n",
            "{\"url\":\"http://h/1\",\"id\":1}\n{\"url\":\"http://h/2\",\"id\":2}\n",
            "1\n2\n3\n",
            "Smith, John\nDoe, Jane\n",
            "[::1]:80/x\n",
            "example.org\nexample.net\n",
            "",
        ] {
            assert_eq!(sniff(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn other_forms_are_told_with_what_converts_them() {
        assert_eq!(sniff(&utf16("\u{feff}http://h/1\n")), Some(ForeignForm::Utf16));
        assert_eq!(sniff(&utf16("http://host/1\n")), Some(ForeignForm::Utf16));
        assert_eq!(sniff(b"\x7fELF\0\0\0"), Some(ForeignForm::Binary));
        assert_eq!(sniff(b" [\n \"http://h/1\"]"), Some(ForeignForm::JsonStrings));
        assert_eq!(sniff(b"[{\"url\":\"http://h/1\"}]"), Some(ForeignForm::JsonArray));
        let columns = sniff(b"id,url\n1,http://h/1\n2,https://h/2\n").unwrap();
        assert_eq!(
            columns.conversion("a.csv"),
            "tail -n +2 'a.csv' | cut -d ',' -f 2 | tr -d '\"' >list, and give list"
        );
        let columns = sniff(b"http://h/1\tone\nhttp://h/2\ttwo\n").unwrap();
        assert_eq!(
            columns.conversion("it's"),
            "cat 'it'\\''s' | cut -f 1 | tr -d '\"' >list, and give list"
        );
    }
}
