//! Every line of a list is an item or says why it is none, and no user name or password comes out of it.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use v6kit_model::input::{Cursor, Items, List, ListSource};

/// Of the items of a list so many are read.
const MOST: u64 = 200;

fuzz_target!(|bytes: &[u8]| {
    let directory = std::path::Path::new("/dev/shm");
    let mut file = tempfile::NamedTempFile::new_in(directory).expect("a file in memory");
    file.write_all(bytes).expect("room in memory");
    let Ok(list) = List::open(&ListSource::File(file.path().to_owned()), directory) else {
        return;
    };
    assert!(list.count() > 0);
    let items = Items::lines(list);
    let (mut cursor, mut url) = (Cursor::default(), String::new());
    for position in 0..items.count().min(MOST) {
        url.clear();
        let item = items.item(position, &mut cursor, None, &mut url);
        assert!(!url.contains(['\r', '\n', '\0']), "{url:?}");
        if item.is_ok() {
            let (origin, _) = v6kit_model::url::split(&url).expect("the URL of an item");
            assert!(!origin.contains('@'), "{url:?}");
        }
    }
});
