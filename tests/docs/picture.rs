//! The picture in README shows what the command prints today.

use std::process::Command;

use super::shown::difference;
use crate::harness::{V6KIT, path_with_sbin, repository, run};

#[test]
fn the_picture_shows_what_the_demo_prints_in_a_terminal() {
    let top = repository();
    let directory = tempfile::tempdir().expect("a directory");
    let drawn = directory.path().join("demo.svg");
    let python = top.join("target/python/bin/python");
    let script = top.join("tests/docs/picture.py");
    let binaries = std::path::Path::new(V6KIT).parent().expect("a directory");
    run(Command::new(&python)
        .arg(&script)
        .arg(&drawn)
        .args(["v6kit", "lab", "demo"])
        .env("PATH", format!("{}:{}", binaries.display(), path_with_sbin())))
    .expect(0);
    let text = |picture: &std::path::Path| {
        run(Command::new(&python).arg(&script).arg("--text").arg(picture))
            .expect(0)
            .stdout
    };
    let (shown, seen) = (text(&top.join("docs/demo.svg")), text(&drawn));
    assert!(seen.starts_with("$ v6kit lab demo\n"), "{seen}");
    let [shown, seen] = [&shown, &seen].map(|text| text.lines().collect::<Vec<_>>());
    if let Err(difference) = difference(&shown, &seen) {
        panic!("docs/demo.svg shows something else; `tests/docs/picture` remakes it\n{difference}");
    }
}
