//! Logins, and that nothing of them is left behind.

use super::Scene;

#[test]
fn users_and_tokens_are_shown_to_the_site_and_to_nobody_else() {
    let scene = Scene::play(include_str!(
        "access/users_and_tokens_are_shown_to_the_site_and_to_nobody_else.sh"
    ));
    assert_eq!(
        scene.run.stdout,
        "user 0\nenvironment 0\nnone 2\nbearer 0\nbad 2\nheader 1\nuser 0\nuser 2\nretry 2\nagain 0\n",
        "{}",
        scene.run
    );
    // base64 of alice:s3cret:x
    let sent = "Basic YWxpY2U6czNjcmV0Ong=";
    assert_eq!(scene.bodies("environment"), [sent]);
    assert!(scene.bodies("user").iter().all(|body| body == sent));
    assert!(scene.file("none.json").contains("V6KIT_PASSWORD is not set"));
    assert!(
        scene.file("bad.json").contains("no bearer token"),
        "{}",
        scene.file("bad.json")
    );
    let retry = scene.file("retry.err");
    assert!(
        retry.contains("the password of -u is missing") && retry.contains("hint: give -u"),
        "{retry}"
    );
    assert!(
        scene
            .file("left/header.warc")
            .contains("authorization: (not stored)")
    );
    for entry in walk(&scene.scratch.path().join("left")) {
        let bytes = std::fs::read(&entry).unwrap();
        let name = entry.display();
        for secret in ["s3cret", "t0ken"] {
            assert!(is_free_of(&bytes, secret), "{name} holds {secret}");
        }
    }
}

/// Whether `bytes` are free of `secret`.
fn is_free_of(bytes: &[u8], secret: &str) -> bool {
    !bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
