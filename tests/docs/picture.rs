//! The pictures of the documentation show what the commands print today.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::shown::difference;
use crate::harness::{V6KIT, path_with_sbin, repository, run};

/// What is drawn: a line of tests/docs/scenes.tsv.
struct Scene<'a> {
    name: &'a str,
    columns: &'a str,
    prompt: &'a str,
    words: Vec<&'a str>,
}

fn scenes(text: &str) -> Vec<Scene<'_>> {
    let lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    lines
        .map(|cells| match cells.as_slice() {
            &[name, columns, prompt, command] => Scene {
                name,
                columns,
                prompt,
                words: command.split(' ').collect(),
            },
            other => panic!("not a scene: {other:?}"),
        })
        .collect()
}

/// Draws a scene anew and returns the lines of the picture that is shown and of the new one.
fn drawn(scene: &Scene<'_>) -> [Vec<String>; 2] {
    let top = repository();
    let directory = tempfile::tempdir().expect("a directory");
    let drawn = directory.path().join("drawn.svg");
    let python = top.join("target/python/bin/python");
    let script = top.join("tests/docs/picture.py");
    let binaries = Path::new(V6KIT).parent().expect("a directory");
    let path = [&top.join("tests/docs"), binaries].map(|path| path.display().to_string());
    run(Command::new(&python)
        .arg(&script)
        .arg(&drawn)
        .args([scene.columns, scene.prompt])
        .args(&scene.words)
        .env("V6KIT", V6KIT)
        .env("PATH", format!("{}:{}", path.join(":"), path_with_sbin())))
    .expect(0);
    let text = |picture: &Path| {
        run(Command::new(&python).arg(&script).arg("--text").arg(picture))
            .expect(0)
            .stdout
    };
    let shown = top.join(format!("docs/{}.svg", scene.name));
    [shown, drawn].map(|picture| text(&picture).lines().map(ToOwned::to_owned).collect())
}

/// The words in the second column of a table, which do not depend on the machine.
fn names(lines: &[String]) -> BTreeSet<&str> {
    let states = ["ok", "warning", "failed", "unknown"];
    let rows = lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.first().is_some_and(|state| states.contains(state)))
        .filter_map(|row| row.get(1).copied())
        .collect()
}

#[test]
fn every_picture_shows_what_the_command_prints_in_a_terminal() {
    let top = repository();
    let text = std::fs::read_to_string(top.join("tests/docs/scenes.tsv")).expect("scenes");
    let scenes = scenes(&text);
    assert!(scenes.len() >= 5);
    let mut faults = Vec::new();
    for scene in &scenes {
        let [shown, seen] = drawn(scene);
        let columns: usize = scene.columns.parse().expect("a number");
        assert!(
            seen.len() > 5 && seen[0] == format!("$ {}", scene.prompt),
            "{seen:#?}"
        );
        let wide: Vec<&String> = seen
            .iter()
            .filter(|line| line.chars().count() > columns)
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");
        // What a machine is differs from machine to machine; what is looked at does not.
        let difference = if scene.name == "doctor" {
            let [shown, seen] = [names(&shown), names(&seen)];
            if shown.is_superset(&seen) && seen.len() >= 10 {
                Ok(())
            } else {
                Err(format!("shown: {shown:?}\nseen:  {seen:?}"))
            }
        } else {
            let [shown, seen] =
                [&shown, &seen].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
            difference(&shown, &seen)
        };
        if let Err(difference) = difference {
            faults.push(format!(
                "docs/{}.svg shows something else; `tests/docs/picture` remakes it\n{difference}",
                scene.name
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
