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
    assert_eq!(
        sniff(&utf16("\u{feff}http://h/1\n")),
        Some(ForeignForm::Utf16("UTF-16"))
    );
    assert_eq!(
        sniff(&utf16("http://host/1\n")),
        Some(ForeignForm::Utf16("UTF-16LE"))
    );
    assert_eq!(sniff(b"\x7fELF\0\0\0"), Some(ForeignForm::Binary("no text")));
    assert_eq!(sniff(b" [\n \"http://h/1\"]"), Some(ForeignForm::JsonStrings));
    assert_eq!(sniff(b"[{\"url\":\"http://h/1\"}]"), Some(ForeignForm::JsonArray));
    let columns = sniff(b"id,url\n1,http://h/1\n2,https://h/2\n").unwrap();
    assert_eq!(
        columns.conversion("a.csv", Packing::None),
        "tail -n +2 'a.csv' | cut -d ',' -f 2 >list, and give list"
    );
    let columns = sniff(b"http://h/1\tone\nhttp://h/2\ttwo\n").unwrap();
    assert_eq!(
        columns.conversion("it's", Packing::None),
        "cut -f 1 'it'\\''s' >list, and give list"
    );
}

/// What a file is, and how it becomes a list.
fn told(start: &[u8], packing: Packing) -> (String, String) {
    let form = sniff(start).unwrap();
    let conversion = form.conversion("l", packing);
    let command = conversion.strip_suffix(" >list, and give list");
    (form.is(), command.unwrap_or("none").to_owned())
}

#[test]
fn whatever_is_packed_or_no_text_is_told_by_how_it_begins() {
    let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
    for (start, is, command) in [
        (&b"\xfd7zXZ\0\0"[..], "is packed with xz", "xz -dc 'l'"),
        (b"BZh91AY&SY\x8d\x01", "is packed with bzip2", "bzip2 -dc 'l'"),
        (b"PK\x03\x04\x14", "is a zip archive", "unzip -p 'l'"),
        (&tar, "is a tar archive", "tar -xOf 'l'"),
        (
            b"\xff\xfe\0\0h\0\0\0",
            "is UTF-32, not UTF-8",
            "iconv -f UTF-32 -t UTF-8 'l'",
        ),
        (
            b"\xfe\xff\0h",
            "is UTF-16, not UTF-8",
            "iconv -f UTF-16 -t UTF-8 'l'",
        ),
        (
            b"\0h\0t\0t\0p\0:\0/\0/\0h",
            "is UTF-16, not UTF-8",
            "iconv -f UTF-16BE -t UTF-8 'l'",
        ),
        (b"PAR1\x15\x04", "is a Parquet file", "none"),
        (b"SQLite format 3\0", "is an SQLite database", "none"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is a PDF", "none"),
        (b"\x89PNG\r\n\x1a\n", "is no text", "none"),
        (
            b"<!DOCTYPE html>\n<a>",
            "is HTML or XML, not a line for each item",
            "none",
        ),
    ] {
        assert_eq!(told(start, Packing::None), (is.to_owned(), command.to_owned()));
    }
}

#[test]
fn what_is_packed_around_another_form_is_unpacked_first() {
    for (start, packing, command) in [
        (&b"\x1f\x8b\x08"[..], Packing::Gzip, "zcat 'l' | zcat"),
        (
            b"\xff\xfeh\0",
            Packing::Gzip,
            "zcat 'l' | iconv -f UTF-16 -t UTF-8",
        ),
        (b"[\"http://h/\"]", Packing::Zstd, "zstdcat 'l' | jq -r '.[]'"),
        (
            b"id,url\n1,http://h/\n",
            Packing::Gzip,
            "zcat 'l' | tail -n +2 | cut -d ',' -f 2",
        ),
    ] {
        assert_eq!(told(start, packing).1, command);
    }
}

/// Runs the command that is told for the file, as it is printed, and returns the list that it makes.
fn converted(text: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("it's a list.csv");
    std::fs::write(&file, text).unwrap();
    let told = sniff(text)
        .unwrap()
        .conversion(file.to_str().unwrap(), Packing::None);
    let command = told.strip_suffix(", and give list").unwrap();
    let run = std::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(directory.path())
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let list = std::fs::read(directory.path().join("list")).unwrap();
    String::from_utf8(without_mark(&list).to_vec()).unwrap()
}

#[test]
fn the_command_that_is_told_makes_a_list_of_columns_with_separators_in_quotes() {
    for text in [
        &b"name,url\n\"Smith, John\",http://h/1\n\"a \"\"b\"\" c\",http://h/2\n"[..],
        b"\"a, b\";\"http://h/1\"\n\"c; d\";http://h/2\n",
        b"\xef\xbb\xbf\"http://h/1\"\t\"a\tb\"\r\nhttp://h/2\tc\r\n",
        b"id,text,url\n1,\"two\nlines, both, one field\",\"http://h/1\"\n2,M\xfcnchen, http://h/2\n",
        b"url,x\nhttp://h/1,\"'\"\nhttp://h/2,\"\"\n",
        b"id,url\n1,http://h/1\n2,http://h/2\n",
        b"a|http://h/1\nb|http://h/2\n",
    ] {
        assert_eq!(
            converted(text),
            "http://h/1\nhttp://h/2\n",
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn text_without_a_line_for_each_item_is_told() {
    for (text, command) in [
        ("{\n  \"url\": \"http://h/1\"\n}\n", "jq -c . 'l'"),
        ("\"http://h/1\"\n\"http://h/2\"\n", "cut -d '\"' -f 2 'l'"),
        ("\"url\"\n\"http://h/2\"\n", "cut -d '\"' -f 2 'l'"),
        ("http://h/1\rhttp://h/2\r", "sed 's/\\r/\\n/g' 'l'"),
        (
            "<?xml version=\"1.0\"?>\n<urlset><url><loc>http://h/</loc></url></urlset>",
            "grep -o '<loc>[^<]*' 'l' | cut -c 6- | sed 's/&amp;/\\&/g'",
        ),
    ] {
        assert_eq!(told(text.as_bytes(), Packing::None).1, command, "{text}");
    }
    for text in [
        "\"a\"\n\"b\"\n",
        "http://h/1\r\n",
        "http://h/1\r",
        "<b>\n<i>\n",
        "{\"url\":\"http://h/\"}\n",
        "BZh\nBZh2\n",
        "PAR1\nPAR2\n",
    ] {
        assert_eq!(sniff(text.as_bytes()), None, "{text:?}");
    }
}
