//! Certificates of either side, and sessions.

use super::Scene;

#[test]
fn a_server_whose_own_certificate_is_given_is_trusted_and_no_other() {
    let scene = Scene::play(
        r#"
        self_signed right -addext subjectAltName=IP:::1,DNS:right.test
        self_signed expired -addext subjectAltName=IP:::1 -not_before 20200101000000Z -not_after 20200201000000Z 2>/dev/null ||
            faketime_free_expired
        nginx_with 8443 <<CONF
            server { listen [::1]:8443 ssl; ssl_certificate $T/right.pem; ssl_certificate_key $T/right.key; return 200 ok; }
            server { listen [::1]:8444 ssl; ssl_certificate $T/expired.pem; ssl_certificate_key $T/expired.key; return 200 ok; }
CONF
        openssl x509 -in "$T/right.pem" -noout -text | grep -q CA:TRUE
        crawl right 'https://[::1]:8443/' --cacert "$T/right.pem"
        crawl name 'https://wrong.test:8443/' --cacert "$T/right.pem" --resolve 'wrong.test:8443:[::1]'
        crawl other 'https://[::1]:8443/' --cacert "$T/expired.pem"
        crawl expired 'https://[::1]:8444/' --cacert "$T/expired.pem"
        "#
        .replace(
            "faketime_free_expired",
            // openssl of Debian 12 has no -not_after for requests, and its authority does.
            r#"{
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=expired -keyout "$T/expired.key" -out "$T/csr" 2>/dev/null
                mkdir "$T/ca"; : >"$T/ca/index"; echo 01 >"$T/ca/serial"
                printf '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=%s\ndatabase=%s/index\nserial=%s/serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n[x]\nbasicConstraints=CA:TRUE\nsubjectAltName=IP:::1\n' "$T/ca" "$T/ca" "$T/ca" >"$T/ca/conf"
                openssl ca -batch -config "$T/ca/conf" -selfsign -keyfile "$T/expired.key" -in "$T/csr" -out "$T/expired.pem" -notext \
                    -extensions x -startdate 20200101000000Z -enddate 20200201000000Z 2>/dev/null
            }"#,
        )
        .as_str(),
    );
    assert_eq!(
        scene.run.stdout, "right 0\nname 1\nother 1\nexpired 1\n",
        "{}",
        scene.run
    );
    for (job, word) in [("name", "name"), ("other", "Issuer"), ("expired", "expired")] {
        let record = &scene.records(job)[0];
        assert_eq!(record["error"]["kind"], "certificate", "{record}");
        let message = record["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{job}: {message}");
    }
}

#[test]
fn a_server_that_asks_who_we_are_is_shown_our_certificate() {
    let scene = Scene::play(include_str!(
        "certificates/a_server_that_asks_who_we_are_is_shown_our_certificate.sh"
    ));
    assert_eq!(
        scene.run.stdout, "two 0\none 0\nnone 1\nforeign 2\nrefused 1\n",
        "{}",
        scene.run
    );
    assert_eq!(scene.bodies("two"), ["CN=client"]);
    assert_eq!(scene.bodies("one"), ["CN=client"]);
    assert_eq!(scene.records("none")[0]["status"], 400);
    assert!(
        scene
            .file("foreign.json")
            .contains("does not go with the certificate")
    );
    assert_eq!(scene.kinds("refused"), ["tls_mismatch"]);
}

#[test]
fn sessions_are_resumed() {
    let scene = Scene::play(
        r#"
        self_signed server -addext subjectAltName=IP:::1
        nginx_with 8443 <<CONF
            keepalive_timeout 0; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
            ssl_session_cache shared:s:1m;
            server { listen [::1]:8443 ssl; ssl_protocols TLSv1.3; return 200 "\$ssl_session_reused"; }
            server { listen [::1]:8444 ssl; ssl_protocols TLSv1.2; return 200 "\$ssl_session_reused"; }
CONF
        crawl three 'https://[::1]:8443/{1..30}' --cacert "$T/server.pem" -c 1
        crawl two 'https://[::1]:8444/{1..30}' --cacert "$T/server.pem" -c 1
        "#,
    );
    assert_eq!(scene.run.stdout, "three 0\ntwo 0\n", "{}", scene.run);
    for job in ["three", "two"] {
        let bodies = scene.bodies(job);
        let resumed = bodies.iter().filter(|body| *body == "r").count();
        assert!(resumed >= 25, "{job}: {bodies:?}");
    }
}
