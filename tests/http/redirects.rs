//! Redirects: where they lead, what goes along, and whom they are asked for.

use super::Scene;

/// A site on port 8080 that leads to itself and to others, and others on 8081 and 8082.
const SITES: &str = include_str!("redirects/sites.sh");

#[test]
fn redirects_are_followed_as_far_as_asked() {
    let scene = Scene::play(&format!(
        r#"{SITES}
        crawl none 'http://[::1]:8080/chain/1'
        crawl few 'http://[::1]:8080/chain/1' --redirects 2
        crawl all 'http://[::1]:8080/chain/{{1,2,3}}' --redirects 3 -u a:b
        crawl loop 'http://[::1]:8080/{{loop,odd,nowhere}}' --redirects 10
        "$V6KIT" crawl cat "$T/all" >"$T/all.ndjson"
        for format in warc parquet; do
            crawl $format 'http://[::1]:8080/chain/{{1,2,3}}' --redirects 3 -u a:b --format $format
            "$V6KIT" crawl cat "$T/$format" >"$T/$format.ndjson"
        done
        zcat "$T"/warc/*.warc.gz | grep -a WARC-Target-URI | LC_ALL=C sort | uniq -c
        crawl all 'http://[::1]:8080/chain/{{1,2,3}}' --redirects 4 -u a:b
        "#
    ));
    assert_eq!(
        scene.run.stdout,
        "none 1\nfew 1\nall 0\nloop 1\nwarc 0\nparquet 0\n      2 WARC-Target-URI: http://[::1]:8080/chain/1\r
      4 WARC-Target-URI: http://[::1]:8080/chain/2\r
      2 WARC-Target-URI: http://[::1]:8080/chain/3\r
      4 WARC-Target-URI: http://[::1]:8080/chain/3?x=y\r
      6 WARC-Target-URI: http://[::1]:8080/end\r\nall 0\n",
        "{}",
        scene.run
    );
    assert_eq!(scene.kinds("none"), ["redirect"]);
    let few = &scene.records("few")[0];
    assert_eq!(few["error"]["kind"], "too_many_redirects");
    assert_eq!(
        (&few["status"], &few["final_url"]),
        (&308.into(), &"http://[::1]:8080/chain/3?x=y".into())
    );
    for record in scene.records("all") {
        assert_eq!(record["body"], "GET /end Basic YTpi", "{record}");
        assert_eq!(record["final_url"], "http://[::1]:8080/end", "{record}");
    }
    assert_eq!(
        scene.kinds("loop"),
        ["too_many_redirects", "redirect", "redirect"]
    );
    // Three, two and one hop, and robots.txt.
    let summary: serde_json::Value = serde_json::from_str(&scene.file("warc.json")).unwrap();
    assert_eq!(summary["requests"], 4 + 3 + 2 + 1, "{summary}");
    // How many are followed may change when a job goes on; here nothing was left.
    let again: serde_json::Value = serde_json::from_str(&scene.file("all.json")).unwrap();
    assert_eq!(
        (&again["resumed"], &again["requests"]),
        (&3.into(), &0.into()),
        "{again}"
    );
    let shape = |name: &str| {
        let text = scene.file(name);
        let lines = text.lines().map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            [
                &record["pos"],
                &record["url"],
                &record["final_url"],
                &record["body"],
            ]
            .map(ToString::to_string)
        });
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        lines
    };
    assert_eq!(shape("warc.ndjson"), shape("all.ndjson"));
    assert_eq!(shape("parquet.ndjson"), shape("all.ndjson"));
}

#[test]
fn what_goes_along_depends_on_status_and_origin() {
    let scene = Scene::play(&format!(
        r#"{SITES}
        for job in post keep away; do
            crawl $job "http://[::1]:8080/$job" --redirects 1 -d x=y -H 'Authorization: Bearer x' -H 'Cookie: a=b' \
                -H 'Proxy-Authorization: Basic YTpi'
        done
        # The same with curl.
        for job in post keep away; do
            curl -gsL "http://[::1]:8080/$job" -d x=y -H 'Authorization: Bearer x'
            echo
        done
        "#
    ));
    let curl = "GET /end Bearer x\nPOST /end Bearer x\n[::1]:8081 \n";
    assert_eq!(
        scene.run.stdout,
        format!("post 0\nkeep 0\naway 0\n{curl}"),
        "{}",
        scene.run
    );
    let bodies: Vec<String> = ["post", "keep", "away"]
        .iter()
        .flat_map(|job| scene.bodies(job))
        .collect();
    assert_eq!(bodies, curl.lines().collect::<Vec<_>>());
}

#[test]
fn robots_txt_counts_wherever_it_lies_and_wherever_one_is_led() {
    let scene = Scene::play(&format!(
        r#"{SITES}
        crawl direct 'http://[::1]:8081/{{private,public}}'
        crawl led 'http://[::1]:8080/{{hidden,away}}' --redirects 3
        # The rules are those of the site that was asked, not of where they lie.
        crawl other 'http://[::1]:8082/private'
        "#
    ));
    assert_eq!(scene.run.stdout, "direct 1\nled 1\nother 0\n", "{}", scene.run);
    assert_eq!(scene.kinds("direct"), ["robots", ""]);
    assert_eq!(scene.kinds("led"), ["robots", ""]);
    assert_eq!(scene.records("led")[0]["final_url"], "http://[::1]:8081/private");
    let log = scene.file("nginx/access.log");
    assert!(
        !log.contains("GET /private HTTP/1.1\" 200 0 \"-\" \"v6kit")
            || log.matches("GET /private").count() == 1,
        "{log}"
    );
}

#[test]
fn every_hop_keeps_to_the_pace() {
    let scene = Scene::play(&format!(
        r#"{SITES}
        crawl job 'http://[::1]:8080/post?{{1..20}}' --redirects 1 -r 20/s --robots ignore
        "#
    ));
    assert_eq!(scene.run.stdout, "job 0\n", "{}", scene.run);
    let summary: serde_json::Value = serde_json::from_str(&scene.file("job.json")).unwrap();
    assert_eq!(summary["requests"], 40, "{summary}");
    assert!(
        summary["seconds"].as_f64().unwrap() > 1.8,
        "40 requests at 20/s: {summary}"
    );
}

#[test]
fn no_answer_leads_into_this_host_or_its_network_unless_the_job_names_where() {
    let scene = Scene::play(
        include_str!("redirects/no_answer_leads_into_this_host_or_its_network_unless_the_job_names_where.sh")
            .replace("@T@", "$T")
            .replace("<<'CONF'", "<<CONF")
            .replace("'$server_port $request_uri'", "'\\$server_port \\$request_uri'")
            .as_str(),
    );
    assert_eq!(
        scene.run.stdout, "led 1\nobeying 1\nignoring 0\n0\npinned 0\nnamed 0\nwithin 0\n",
        "{}",
        scene.run
    );
    assert_eq!(scene.kinds("led"), ["redirect"; 6]);
    let literal = &scene.records("led")[0];
    assert_eq!(literal["final_url"], "http://[::1]:8081/secret", "{literal}");
    let message = literal["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("::1, this host, which only the job itself may name"),
        "{message}"
    );
    assert_eq!(scene.kinds("obeying"), ["robots_unreachable"]);
    assert_eq!(scene.bodies("pinned"), ["secret", "secret"]);
    assert_eq!(scene.bodies("named"), ["secret", "secret"]);
}
