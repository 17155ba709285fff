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
        crawl one "$url/search?page={1..3}" -d '{"page":{},"none":{{}}}' -H 'X-Page: p{}' --fill -r max
        crawl several "$url/{007..9..2}/{a,b}" -d '{1}-{2}-{}-{3}' --fill -r max
        crawl plain "$url/one" -d '{}' -r max
        printf 'x y\nz\n' > "$T/lines"
        crawl list "$url/{}" -i "$T/lines" -d 'line={}' -H 'X-Line: {}' --fill -r max
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
fn a_body_is_sent_as_it_is_unless_it_is_to_be_filled_and_a_job_of_before_goes_on_as_it_began() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        include_str!("work/a_body_is_sent_as_it_is_unless_it_is_to_be_filled_and_a_job_of_before_goes_on_as_it_began.sh"),
    )
    .expect(0);
    let bodies = |name: &str| -> Vec<String> {
        let bodies = records(scratch.path(), name);
        let bodies = bodies.iter().map(|record| record["body"]["body"].as_str());
        bodies.map(|body| body.expect("a body").to_owned()).collect()
    };
    let literal = r#"{"query":{"match_all":{}},"at":[{1},{{}}]}"#;
    assert_eq!(bodies("literal"), [literal, literal]);
    assert_eq!(
        bodies("before"),
        ["n=1", "n=1", "n=2", "n=2"],
        "both records are kept"
    );
    let said = |name: &str| std::fs::read_to_string(scratch.path().join(name)).expect("a file");
    let warning = "--fill puts what tells the items apart";
    assert!(said("warned").contains(warning) && !said("quiet.err").contains(warning));
    assert_eq!(run.stdout, "2\n", "{run}");
    assert!(said("literal.err").contains("fill was `no` and is `yes` now"));
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
