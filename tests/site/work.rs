//! Where the work comes from.

use std::collections::HashSet;

use super::{on_loopback, records, scratch};

#[test]
fn places_in_headers_and_body_are_filled_for_templates_and_lists() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site mirror mirror
        crawl one "$url/search?page={1..3}" -d '{"page":{},"none":{{}}}' -H 'X-Page: p{}' -r max
        crawl several "$url/{007..9..2}/{a,b}" -d '{1}-{2}-{}-{3}' -r max
        crawl plain "$url/one" -d '{}' -r max
        printf 'x y\nz\n' > "$T/lines"
        crawl list "$url/{}" -i "$T/lines" -d 'line={}' -H 'X-Line: {}' -r max
        "#,
    )
    .expect(0);
    let bodies = |name: &str| -> Vec<String> {
        records(scratch.path(), name)
            .iter()
            .map(|record| record["body"]["body"].as_str().expect("a body").to_owned())
            .collect()
    };
    let [one, several, plain, list] = ["one", "several", "plain", "list"].map(bodies);
    assert_eq!(
        one,
        [1, 2, 3].map(|page| format!(r#"{{"page":{page},"none":{{}}}}"#))
    );
    assert_eq!(
        several,
        [
            "007-a-007,a-{3}",
            "007-b-007,b-{3}",
            "009-a-009,a-{3}",
            "009-b-009,b-{3}"
        ]
    );
    assert_eq!(plain, ["{}"], "a URL without braces has nothing to put there");
    assert_eq!(list, ["line=x y", "line=z"]);
    let headers = &records(scratch.path(), "one")[2]["body"]["headers"];
    assert_eq!(headers["x-page"], "p3");
    assert_eq!(
        records(scratch.path(), "list")[0]["body"]["headers"]["x-line"],
        "x y"
    );
}

#[test]
fn ranges_multiply_and_lines_say_method_headers_and_body() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site mirror mirror
        crawl product "$url/{08..10}/{a..c}/{0..1e1..5}?x={red,blue}" -r max --order shuffle --seed 3
        cat > "$T/list" <<LIST
{"url":"$url/a","method":"PUT","headers":{"X-A":"1"},"body":"text","id":7}
{"url":"$url/b","body":{"k":[1,2]},"id":"b"}
{"url":"$url/c","sort":"unknown"}
not a url
LIST
        crawl lines -i "$T/list" -r max
        "#,
    )
    .expect(0);
    let product = records(scratch.path(), "product");
    let paths: HashSet<String> = product
        .iter()
        .map(|record| record["body"]["path"].as_str().expect("a path").to_owned())
        .collect();
    assert_eq!((product.len(), paths.len()), (3 * 3 * 3 * 2, 54));
    assert!(
        paths.contains("/08/a/0?x=red") && paths.contains("/10/c/10?x=blue"),
        "{paths:?}"
    );
    let lines = records(scratch.path(), "lines");
    assert_eq!(lines[0]["body"]["method"], "PUT");
    assert_eq!(
        (&lines[0]["body"]["body"], &lines[0]["id"]),
        (&"text".into(), &7.into())
    );
    assert_eq!(lines[0]["body"]["headers"]["x-a"], "1");
    assert_eq!(
        (&lines[1]["body"]["method"], &lines[1]["body"]["body"]),
        (&"POST".into(), &r#"{"k":[1,2]}"#.into())
    );
    for (line, number) in [(&lines[2], 3), (&lines[3], 4)] {
        assert_eq!(line["error"]["kind"], "bad_item");
        let message = line["error"]["message"].as_str().expect("a message");
        assert!(message.starts_with(&format!("line {number}: ")), "{message}");
    }
}
