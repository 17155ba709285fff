//! How long the parts of a request took, told where it is asked for.

use serde_json::Value;

use super::Scene;

#[test]
fn a_record_says_which_part_of_its_request_took_how_long() {
    let scene = Scene::play(
        r#"
        printf 'fd00::2 timed.test\nfd00::3 silent.test\n' >>/etc/hosts
        : >/etc/resolv.conf
        self_signed server -addext subjectAltName=DNS:timed.test
        nginx_with 8443 <<CONF
            server { listen [fd00::2]:8443 ssl http2; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
                     return 200 "\$server_protocol"; }
            server { listen [fd00::2]:8080; return 200 "\$server_protocol"; }
CONF
        # It takes the connection and says nothing.
        python3 -c 'import socket; s = socket.create_server(("fd00::3", 8081), family=socket.AF_INET6); input()' < <(sleep inf) &
        listening 8081
        cat >"$T/list" <<LIST
https://timed.test:8443/1
https://timed.test:8443/2
http://timed.test:8080/3
http://[fd00::2]:8080/4
http://silent.test:8081/5
LIST
        for format in ndjson parquet warc; do
            for http in 1 auto; do
                crawl $format.$http -i "$T/list" --format $format --http $http --timing --cacert "$T/server.pem" -c 1 \
                    --retries 0 --timeout 300ms --robots ignore
                "$V6KIT" crawl cat "$T/$format.$http" >"$T/$format.$http.lines"
            done
        done
        crawl plain -i "$T/list" --cacert "$T/server.pem" --retries 0 --timeout 300ms --robots ignore
        crawl plain -i "$T/list" --cacert "$T/server.pem" --retries 0 --timeout 300ms --robots ignore --timing
        "#,
    );
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
