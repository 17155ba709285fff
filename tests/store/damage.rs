//! Files that somebody has cut or changed.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{FORMATS, assert_each_once, cat, check, found_by_others, scratch, status, with_server};

const ITEMS: u64 = 20_000;

const CRAWL: &str = r#"
    "$V6KIT" crawl "$url/items/{1..20000}" -o "$job" -r max --threads 1 --commit-every 30ms --level 1 --keep-free 0 -q
"#;

fn segments(job: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<PathBuf> = fs::read_dir(job)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("00"))
        .collect();
    segments.sort();
    segments
}

fn flip_bit(path: &Path, offset: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[byte[0] ^ 16]).unwrap();
}

#[test]
fn a_flipped_bit_is_found_at_its_place_and_repaired_by_the_next_crawl() {
    for format in FORMATS {
        let scratch = scratch();
        let job = scratch.path().join("job");
        let crawl = CRAWL.replace("-q", &format!("-q --format {format}"));
        with_server(scratch.path(), &format!("{crawl}\n{DAMAGE_AND_REPAIR}\n{crawl}")).expect(0);
        assert_each_once(&cat(&job, &[]), ITEMS);
        assert_each_once(&found_by_others(format, &job), ITEMS);
        assert_eq!(check(&job, &[], 0)["items"], ITEMS);
        assert_eq!(status(&job)["complete"], true);
    }
}

/// Flips a bit in the middle of the first segment, has it found, and repairs it.
const DAMAGE_AND_REPAIR: &str = r#"
        segment=$(ls "$job"/00* | head -1)
        middle=$(($(stat -c %s "$segment") / 2))
        byte=$(dd if="$segment" bs=1 skip=$middle count=1 status=none | od -An -tu1)
        printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$segment" bs=1 seek=$middle conv=notrunc status=none
        if "$V6KIT" crawl check "$job" --json >"$T/found"; then exit 9; else [ $? = 1 ]; fi
        jq -e --argjson middle $middle '.damaged | length == 1 and
            (.[0] | .offset <= .at and .at <= $middle and $middle < .offset + .length and .items > 0 and
            (.segment | endswith("'"${segment##*/}"'")) and (.what | contains("CRC-32")))' "$T/found" >/dev/null
        "$V6KIT" crawl check "$job" --repair | grep -q 'items are open again'
        "$V6KIT" crawl status "$job" --json | jq -e --slurpfile found "$T/found" \
            '.left == $found[0].damaged[0].items and .done == $found[0].items' >/dev/null
"#;

#[test]
fn a_truncated_segment_is_found_with_everything_behind_the_cut() {
    let scratch = scratch();
    let job = scratch.path().join("job");
    with_server(scratch.path(), CRAWL).expect(0);
    let segment = segments(&job).remove(0);
    let length = fs::metadata(&segment).unwrap().len();
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(length / 3).unwrap();
    let found = check(&job, &[], 1);
    let damaged = found["damaged"].as_array().unwrap();
    assert!(!damaged.is_empty());
    for damage in damaged {
        let end = damage["offset"].as_u64().unwrap() + damage["length"].as_u64().unwrap();
        assert!(end > length / 3, "{damage}");
        assert!(
            damage["what"].as_str().unwrap().contains("the file ends at byte"),
            "{damage}"
        );
    }
    let lost: u64 = damaged
        .iter()
        .map(|damage| damage["items"].as_u64().unwrap())
        .sum();
    check(&job, &["--repair"], 0);
    assert_eq!(status(&job)["left"], lost);
    assert_eq!(cat(&job, &[]).len() as u64, ITEMS - lost);
    assert_eq!(check(&job, &[], 0)["items"], ITEMS - lost);
}

#[test]
fn a_missing_segment_and_a_damaged_ledger_are_told_apart() {
    let scratch = scratch();
    let job = scratch.path().join("job");
    with_server(scratch.path(), CRAWL).expect(0);
    let segment = segments(&job).remove(0);
    let away = scratch.path().join("away");
    fs::rename(&segment, &away).unwrap();
    let found = check(&job, &[], 1);
    assert_eq!(found["items"], 0);
    fs::rename(&away, &segment).unwrap();
    check(&job, &[], 0);
    let ledger = job.join("ledger.sqlite");
    let pages = fs::metadata(&ledger).unwrap().len() / 4096;
    for page in 1..pages {
        for offset in (0..4096).step_by(16) {
            flip_bit(&ledger, page * 4096 + offset);
        }
    }
    let run = crate::harness::v6kit(&["crawl", "check", job.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("the ledger in"), "{run}");
}
