//! What storing costs over not storing, and how small it gets: CPU and bytes per record of about 320 bytes, beside
//! `gzip -6` of the same lines.
//!
//! `cargo bench -p v6kit-store --bench store`; tests/bench/store runs it.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it finds")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::io::Write;
use std::path::Path;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use v6kit_store::bench::store;
use v6kit_store::{Compression, Format, Reach, Selection, Storage, cat};

const RECORDS: usize = 300_000;
const RUNS: usize = 3;

/// The size of a frame of one of two shards.
const FRAME: usize = 3 << 19;

fn main() {
    for (name, bodies) in [("of a form", formed()), ("with prose", prose())] {
        let length = bodies.iter().map(Vec::len).sum::<usize>() / RECORDS;
        println!("{RECORDS} JSON bodies {name}, {length} bytes on average");
        println!("{:<34}{:>14}{:>16}", "", "CPU us/record", "bytes/record");
        for level in [1, 2, 3, 4, 6, 9, 12] {
            row(
                &format!("ndjson, level {level}"),
                Format::Ndjson,
                level,
                Reach::OfLevel,
                FRAME,
                &bodies,
            );
        }
        row(
            "ndjson, level 3, --long",
            Format::Ndjson,
            3,
            Reach::Long,
            8 << 20,
            &bodies,
        );
        row(
            "parquet, level 3",
            Format::Parquet,
            3,
            Reach::OfLevel,
            8 << 20,
            &bodies,
        );
        row("warc", Format::Warc, 3, Reach::OfLevel, FRAME, &bodies);
        gzip_and_dictionary(&bodies);
        println!();
    }
}

fn row(name: &str, format: Format, level: i32, reach: Reach, frame: usize, bodies: &[Vec<u8>]) {
    let storage = Storage {
        format,
        ..Storage::default()
    };
    let mut best = f64::INFINITY;
    let mut stored = 0;
    for _ in 0..RUNS {
        let directory = tempfile::tempdir().unwrap();
        let job = directory.path().join("job");
        let sum = store(&job, &storage, Compression { level, reach }, frame, bodies).unwrap();
        best = best.min(sum.cpu.as_secs_f64() * 1e6 / RECORDS as f64);
        stored = sum.stored;
    }
    println!("{name:<34}{best:>14.2}{:>16.1}", stored as f64 / RECORDS as f64);
}

/// The same lines by gzip(1), and in frames of several sizes with a dictionary and without.
fn gzip_and_dictionary(bodies: &[Vec<u8>]) {
    let directory = tempfile::tempdir().unwrap();
    let job = directory.path().join("job");
    let compression = Compression {
        level: 3,
        reach: Reach::OfLevel,
    };
    store(&job, &Storage::default(), compression, FRAME, bodies).unwrap();
    let mut lines = Vec::new();
    cat(&job, &Selection::default(), &mut lines).unwrap();
    let plain = lines.len() as f64 / RECORDS as f64;
    println!("{:<34}{:>14}{plain:>16.1}", "plain lines", "");
    let gzipped = gzip(directory.path(), &lines) as f64 / RECORDS as f64;
    println!("{:<34}{:>14}{gzipped:>16.1}", "gzip -6 of all lines", "");
    let samples: Vec<&[u8]> = lines
        .split_inclusive(|&byte| byte == b'\n')
        .take(10_000)
        .collect();
    let dictionary = zstd::dict::from_samples(&samples, 110 << 10).unwrap();
    for size in [4 << 10, 64 << 10, 512 << 10, FRAME] {
        let without = compressed(&lines, size, &[]) / RECORDS as f64;
        let with = compressed(&lines, size, &dictionary) / RECORDS as f64;
        println!(
            "{:<34}{:>14}{:>16}",
            format!("level 3, frames of {} KiB", size >> 10),
            "",
            format!("{without:.1}, {with:.1} dict")
        );
    }
}

fn compressed(lines: &[u8], frame: usize, dictionary: &[u8]) -> f64 {
    let mut zstd = zstd::bulk::Compressor::with_dictionary(3, dictionary).unwrap();
    lines
        .chunks(frame)
        .map(|frame| zstd.compress(frame).unwrap().len())
        .sum::<usize>() as f64
}

fn gzip(directory: &Path, lines: &[u8]) -> u64 {
    let path = directory.join("lines");
    std::fs::File::create(&path).unwrap().write_all(lines).unwrap();
    assert!(
        std::process::Command::new("gzip")
            .arg("-6")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    std::fs::metadata(path.with_extension("gz")).unwrap().len()
}

/// Documents as an API of a shop has them.
fn formed() -> Vec<Vec<u8>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    (1..=RECORDS)
        .map(|id| {
            let number = random.next_u64();
            format!(
                r#"{{"id":{id},"name":"item {id}","price":{},"stock":{},"rating":{},"checksum":"{number:016x}","text":"{}"}}"#,
                number % 100_000,
                number >> 20 & 1023,
                number >> 40 & 7,
                "The quick brown fox jumps over the lazy dog, again and again, until it is told to stop. ".repeat(2).trim_end()
            )
            .into_bytes()
        })
        .collect()
}

/// Documents that differ in every word.
fn prose() -> Vec<Vec<u8>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let words: Vec<String> = (0..4000)
        .map(|_| {
            let length = 2 + random.next_u64() % 8;
            (0..length)
                .map(|_| char::from(b'a' + (random.next_u64() % 26) as u8))
                .collect()
        })
        .collect();
    (1..=RECORDS)
        .map(|id| {
            let text: Vec<&str> = (0..38)
                .map(|_| words[(random.next_u64() % 4000) as usize].as_str())
                .collect();
            format!(
                r#"{{"id":{id},"author":{},"text":"{}"}}"#,
                random.next_u64() % 100_000,
                text.join(" ")
            )
            .into_bytes()
        })
        .collect()
}
