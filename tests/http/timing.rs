//! How long the parts of a request took, told where it is asked for.

use serde_json::Value;

use super::Scene;

#[test]
fn a_record_says_which_part_of_its_request_took_how_long() {
    let scene = Scene::play(include_str!(
        "timing/a_record_says_which_part_of_its_request_took_how_long.sh"
    ));
    for format in ["ndjson", "parquet", "warc"] {
        for http in ["1", "auto"] {
            let job = format!("{format}.{http}");
            let lines = scene.file(&format!("{job}.lines"));
            let mut records: Vec<Value> = lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            records.sort_by_key(|record| record["pos"].as_u64());
            let parts: Vec<String> = records.iter().map(parts).collect();
            assert_eq!(
                parts,
                [
                    "connect first_byte name tls",
                    "first_byte",
                    "connect first_byte name",
                    "connect first_byte",
                    "connect name"
                ],
                "{job}: {lines}"
            );
            for record in &records {
                let timing = record["timing"].as_object().unwrap();
                // The name is looked up before the attempt begins, and each is rounded to a tenth.
                let parts = timing.iter().filter(|(name, _)| *name != "name");
                let whole: f64 = parts.map(|(_, part)| part.as_f64().unwrap()).sum();
                assert!(whole <= record["ms"].as_f64().unwrap() + 0.3, "{job}: {record}");
            }
        }
    }
    let refused = scene.file("plain.err");
    assert!(
        refused.contains("timing was `none` and is `kept` now"),
        "{refused}"
    );
}

/// The names of the parts that are told.
fn parts(record: &Value) -> String {
    let timing = record["timing"].as_object().unwrap_or_else(|| panic!("{record}"));
    let mut names: Vec<&str> = timing.keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}
