//! Lists and job files that are given as URLs.

use super::Scene;

/// Shell functions for the scripts here.
const FRAME: &str = include_str!("remote/frame.bash");

#[track_caller]
fn play(script: &str) -> Scene {
    Scene::play(&format!("{FRAME}\n{script}"))
}

#[test]
fn a_list_that_is_given_as_a_url_is_fetched_whole_and_the_job_keeps_a_copy() {
    let scene = play(include_str!("remote/a_list.sh"));
    assert_eq!(
        scene.run.stdout, "packed 0\ntls 0\nretried 0\nitems of the copy 3\n",
        "{}",
        scene.run
    );
    assert_eq!(scene.bodies("tls"), ["/items/1", "/items/2", "/items/3"]);
    let mut twice = scene.bodies("packed");
    assert_eq!(twice.len(), 6, "{twice:?}");
    twice.dedup();
    assert_eq!(twice, ["/items/1", "/items/2", "/items/3"]);
}

#[test]
fn what_is_no_list_is_refused_with_whose_fault_it_is_and_without_its_secrets() {
    let scene = play(include_str!("remote/no_list.sh"));
    assert_eq!(
        scene.run.stdout, "gone 1\nclosed 1\nendless 1\nlarge 1\nuntrusted 1\nplain 1\npassword 2\n",
        "{}",
        scene.run
    );
    let says = |job: &str, what: &str| {
        let said = scene.file(&format!("{job}.err"));
        assert!(said.contains(what), "{job}: {said}");
        for secret in ["s3cret", "token"] {
            assert!(!said.contains(secret), "{job}: {said}");
        }
    };
    says(
        "gone",
        "error: the list cannot be fetched from http://[::1]:8080/none?…\nwhy: the server answers 404 Not Found",
    );
    says("closed", "Connection refused");
    says("endless", "there are more than 10 redirects");
    says("large", "it has more than 1073741824 bytes");
    says("untrusted", "invalid peer certificate");
    says("plain", "a redirect leads from https:// to http://");
    says(
        "password",
        "from http://[::1]:8080/list\nwhy: the URL holds a user name or a password",
    );
}

#[test]
fn a_job_file_that_is_given_as_a_url_says_what_to_crawl_and_names_no_file_of_this_host() {
    let scene = Scene::play(
        r#"
        printf 'url = ["http://[::1]:8080/items/{1..3}"]\nrobots = "ignore"\n' >"$T/good.toml"
        printf 'url = ["http://[::1]:8080/x"]\ndata = "@/etc/shadow"\n' >"$T/evil.toml"
        printf 'url = ["http://[::1]:8080/x"]\noutput = "/root/.ssh"\n' >"$T/worse.toml"
        nginx_with 8080 <<<"server { listen [::1]:8080; root $T; location /items/ { return 200 \$uri; } }"
        for job in good evil worse none; do crawl $job --job "http://[::1]:8080/$job.toml"; done
        "#,
    );
    assert_eq!(
        scene.run.stdout, "good 0\nevil 2\nworse 2\nnone 1\n",
        "{}",
        scene.run
    );
    assert_eq!(scene.bodies("good"), ["/items/1", "/items/2", "/items/3"]);
    let said = scene.file("evil.err");
    assert!(said.contains("its data names a file of this host"), "{said}");
    let said = scene.file("worse.err");
    assert!(said.contains("its output names a file of this host"), "{said}");
    let said = scene.file("none.err");
    assert!(said.contains("the job file cannot be fetched"), "{said}");
}
