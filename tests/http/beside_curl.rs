//! The exchange beside curl, which shares no code with it, nor with hyper.

use super::Scene;
use crate::harness::repository;

#[test]
fn an_answer_is_the_one_that_curl_reads_where_both_read_one() {
    let script = repository().join("tests/http/beside_curl.py");
    let seeds = repository().join("crates/http1/fuzz/seeds/answer");
    let scene = Scene::play(&format!(
        r#"mkdir "$T/read"; python3 "{}" "$V6KIT" "{}" "$T/read" 120 1"#,
        script.display(),
        seeds.display()
    ));
    let found = scene.run.json();
    // By chance many are read by one of them only, or by none.
    assert!(found["both"].as_u64().unwrap() >= 30, "{found}");
}
