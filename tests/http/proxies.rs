//! Proxies: our own and others', and what goes wrong with them.

use super::Scene;

const SITE: &str = r#"
    self_signed server -addext subjectAltName=IP:::1,DNS:site.test
    nginx_with 8443 <<CONF
        server { listen [::1]:8080; return 200 "\$scheme \$host \$remote_addr \$http_proxy_authorization\$request_uri"; }
        server { listen [::1]:8443 ssl http2; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
                 return 200 "\$scheme \$host \$server_protocol \$request_uri"; }
CONF
    echo "::1 site.test" >>/etc/hosts
    : >/etc/resolv.conf
    # Both kinds of URL through a proxy.
    through() {
        local job=$1
        shift
        crawl "$job" 'http://site.test:8080/{1..20}' "$@"
        crawl "$job-tls" 'https://site.test:8443/{1..20}' --cacert "$T/server.pem" "$@"
    }
"#;

#[track_caller]
fn assert_fetched(scene: &Scene, jobs: &[&str]) {
    let expected: String = jobs.iter().map(|job| format!("{job} 0\n{job}-tls 0\n")).collect();
    assert!(scene.run.stdout.starts_with(&expected), "{}", scene.run);
    for job in jobs {
        for (index, body) in scene.bodies(job).iter().enumerate() {
            assert!(body.starts_with("http site.test "), "{job}: {body}");
            assert!(
                body.ends_with(&format!(" /{}", index + 1)),
                "nothing of the proxy's: {body}"
            );
        }
        for body in scene.bodies(&format!("{job}-tls")) {
            assert!(body.starts_with("https site.test HTTP/2.0 "), "{job}: {body}");
        }
    }
}

#[test]
fn requests_go_through_our_own_proxy() {
    let scene = Scene::play(&format!(
        r#"{SITE}
        ip -6 route add local fd00:1::/64 dev lo
        "$V6KIT" proxy --prefix fd00:1::/64 --listen '[::1]:1234' --auth alice:s3cret --allow-destination ::1/128 -q &
        listening 1234
        through http -x 'http://alice:s3cret@[::1]:1234'
        through socks5 -x 'socks5://alice:s3cret@[::1]:1234'
        through socks5h -x 'socks5h://alice:s3cret@[::1]:1234'
        crawl wrong 'http://site.test:8080/' -x 'http://alice:wrong@[::1]:1234'
        crawl wrong-tls 'https://site.test:8443/' --cacert "$T/server.pem" -x 'http://alice:wrong@[::1]:1234'
        crawl wrong-socks 'http://site.test:8080/' -x 'socks5h://[::1]:1234'
        crawl closed 'https://site.test:1/' --retries 0 -x 'socks5h://alice:s3cret@[::1]:1234'
        ! grep -rqa s3cret "$T/http" "$T/socks5" "$T"/http.* || echo leaked
        "#
    ));
    assert_fetched(&scene, &["http", "socks5", "socks5h"]);
    assert!(
        scene
            .run
            .stdout
            .ends_with("wrong 1\nwrong-tls 1\nwrong-socks 1\nclosed 1\n"),
        "{}",
        scene.run
    );
    assert!(
        scene
            .bodies("http")
            .iter()
            .all(|body| body.starts_with("http site.test fd00:1:"))
    );
    for job in ["wrong", "wrong-tls", "wrong-socks"] {
        assert_eq!(scene.kinds(job), ["proxy_auth"], "{}", scene.records(job)[0]);
    }
    assert_eq!(scene.kinds("closed"), ["connect_refused"]);
}

#[test]
fn requests_go_through_proxies_of_others() {
    let scene = Scene::play(&format!(
        r#"{SITE}
        printf 'Port 8888\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nBasicAuth bob hunter2\nLogLevel Critical\n' >"$T/tiny.conf"
        tinyproxy -d -c "$T/tiny.conf" >/dev/null &
        microsocks -i ::1 -p 1080 -u bob -P hunter2 2>/dev/null &
        listening 8888; listening 1080
        through tinyproxy -x 'http://bob:hunter2@127.0.0.1:8888'
        through microsocks -x 'socks5h://bob:hunter2@[::1]:1080'
        through microsocks-here -x 'socks5://bob:hunter2@[::1]:1080'
        crawl wrong 'https://site.test:8443/' --cacert "$T/server.pem" -x 'bob:wrong@127.0.0.1:8888'
        crawl dead 'http://site.test:8080/' --retries 0 -x 'http://[::1]:9'
        crawl deaf 'https://site.test:8443/' --cacert "$T/server.pem" --retries 0 -x 'http://[::1]:8080'
        crawl usage 'https://site.test:8443/' -x 'https://[::1]:8080'
        "#
    ));
    assert_fetched(&scene, &["tinyproxy", "microsocks", "microsocks-here"]);
    assert!(
        scene.run.stdout.ends_with("wrong 1\ndead 1\ndeaf 1\nusage 2\n"),
        "{}",
        scene.run
    );
    assert_eq!(
        scene.kinds("wrong").concat(),
        "proxy_auth",
        "{}",
        scene.records("wrong")[0]
    );
    assert_eq!(scene.kinds("dead"), ["proxy"]);
    assert_eq!(scene.kinds("deaf"), ["proxy"]);
    let dead = &scene.records("dead")[0]["error"]["message"];
    assert!(
        dead.as_str()
            .unwrap()
            .contains("the proxy http://[::1]:9 cannot be reached"),
        "{dead}"
    );
}
