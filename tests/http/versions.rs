//! HTTP/2 with servers of others, and a destination that is not there.

use super::Scene;

#[test]
fn http_2_is_spoken_with_nginx_and_nghttpd() {
    let scene = Scene::play(include_str!(
        "versions/http_2_is_spoken_with_nginx_and_nghttpd.sh"
    ));
    assert_eq!(
        scene.run.stdout, "8443 0\n8444 0\n8445 0\n8446 0\none 0\ntwo 1\n",
        "{}",
        scene.run
    );
    let all = |job: &str, text: &str| {
        let bodies = scene.bodies(job);
        assert!(
            bodies.len() == 300 && bodies.iter().all(|body| body == text),
            "{job}: {bodies:?}"
        );
    };
    all("8443", "HTTP/2.0");
    all("8444", "HTTP/1.1");
    all("8445", r#"{"from":"nghttpd"}"#);
    all("8446", r#"{"from":"nghttpd"}"#);
    all("one", "HTTP/1.1");
    assert_eq!(
        scene.kinds("two"),
        ["tls_mismatch"],
        "ALPN finds nothing in common"
    );
}

#[test]
fn a_dead_port_is_given_up_soon_and_the_user_is_told_why() {
    let scene = Scene::play(
        r#"
        crawl job 'http://[::1]:9/{1..5000}' --robots ignore -c 20
        "#,
    );
    assert_eq!(scene.run.stdout, "job 18\n", "{}", scene.run);
    let said = scene.file("job.err");
    for part in [
        "http://[::1]:9: 100% of the last attempts failed, most recently by connect_refused: ",
        "pausing for 1s, then a probe",
        "probe 1 of 3 failed by connect_refused",
        "the next in 2s",
        "probe 2 of 3",
        "stopped: more than 20% of the answers were failures, and so were three probes: connect_refused",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let summary: serde_json::Value = serde_json::from_str(&scene.file("job.json")).unwrap();
    let seconds = summary["seconds"].as_f64().unwrap();
    assert!(
        (7.0..30.0).contains(&seconds),
        "1 + 2 + 4 seconds of pauses: {summary}"
    );
}
