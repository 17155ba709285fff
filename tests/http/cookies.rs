//! Cookies belong to the address that was given them.

use std::collections::{HashMap, HashSet};

use super::Scene;

#[test]
fn no_address_shows_the_cookies_of_another() {
    let scene = Scene::play(
        r#"
        ip -6 route add local fd00:1::/64 dev lo
        nginx_with 8080 <<'CONF'
            keepalive_requests 3;
            map $cookie_id $given { "" "id=$request_id; Path=/"; default ""; }
            server { listen [::1]:8080; add_header Set-Cookie $given;
                     location /login { return 302 /in; }
                     location / { return 200 "$cookie_id"; } }
CONF
        crawl job 'http://[::1]:8080/{1..200}' --cookies --prefix fd00:1::/64 --requests-per-address 4 --robots ignore -c 8
        crawl off 'http://[::1]:8080/{1..20}' --prefix fd00:1::/64 --robots ignore -c 1
        crawl led 'http://[::1]:8080/login/{1..40}' --cookies --redirects 1 --prefix fd00:1::/64 --requests-per-address 4 --robots ignore -c 8
        crawl one 'http://[::1]:8080/{1..20}' --cookies --robots ignore -c 1
        crawl one 'http://[::1]:8080/{1..20}' --robots ignore -c 1
        "#,
    );
    assert_eq!(
        scene.run.stdout, "job 0\noff 0\nled 0\none 0\none 2\n",
        "{}",
        scene.run
    );
    let mut shown: HashMap<String, Vec<String>> = HashMap::new();
    for (record, body) in scene.records("job").iter().zip(scene.bodies("job")) {
        shown
            .entry(record["from"].as_str().unwrap().to_owned())
            .or_default()
            .push(body);
    }
    let mut known = HashSet::new();
    for (from, cookies) in &shown {
        let ids: HashSet<&String> = cookies.iter().filter(|id| !id.is_empty()).collect();
        assert!(ids.len() <= 1, "{from}: {cookies:?}");
        assert_eq!(
            cookies.iter().filter(|id| id.is_empty()).count(),
            1,
            "{from}: {cookies:?}"
        );
        known.extend(ids);
    }
    assert!(shown.len() >= 50 && known.len() > 40, "{shown:?}");
    assert!(scene.bodies("off").iter().all(String::is_empty));
    // Each hop goes on from the address that was given the cookie.
    assert!(
        scene.bodies("led").iter().all(|id| !id.is_empty()),
        "{:?}",
        scene.bodies("led")
    );
    // The host's own address is one address, however many connections there are.
    let one: HashSet<String> = scene.bodies("one").into_iter().collect();
    assert_eq!(one.len(), 2, "none at first, and then always the same: {one:?}");
}
