//! Job files of a crawl.

use crate::harness::{in_lab, in_namespace};

#[test]
fn a_printed_job_file_crawls_the_same_and_goes_on_where_it_was_left() {
    in_lab(
        "routed",
        r#"
        ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
        "$V6KIT" crawl "$V6KIT_LAB_TARGET/items/{1..300}" -o "$T/items" --prefix "$V6KIT_LAB_PREFIX" -r max -c 8 \
            -H 'Accept: application/json' --expect key=id --extract id,name --print-job >"$T/items.toml"
        test ! -e "$T/items"
        "$V6KIT" crawl --job "$T/items.toml" --limit 100 -q
        test "$("$V6KIT" crawl cat "$T/items" | wc -l)" = 100
        # An option wins over the file, and what it changes of the job is refused as ever.
        code=0; "$V6KIT" crawl --job "$T/items.toml" --limit 100 --extract id 2>"$T/err" || code=$?
        test $code = 2
        grep -q '^hint: ' "$T/err"
        "$V6KIT" crawl retry "$T/items" --outcome ok -- -r max -q
        test "$("$V6KIT" crawl cat "$T/items" --outcome ok | jq -c 'select(.body | keys == ["id", "name"])' | wc -l)" = 100
        # The file that a crawl by file prints is the same file.
        "$V6KIT" crawl --job "$T/items.toml" --print-job | diff - "$T/items.toml"
        "#,
    )
    .expect(0);
}

#[test]
fn a_job_file_that_cannot_be_used_is_named_with_its_line() {
    in_namespace(
        r#"
        says() { grep -q -- "$1" "$T/err" || { cat "$T/err"; exit 1; }; }
        refused() { code=0; "$V6KIT" crawl --job "$T/job.toml" 2>"$T/err" >"$T/out" || code=$?; test $code = 2; }
        refused
        says 'job.toml cannot be read'
        printf 'url = "http://[::1]/"\noutput = "%s"\nretrys = 5\n' "$T/o" >"$T/job.toml"
        refused
        says '^why: line 3: `retrys` is not a key'
        says '^hint: did you mean `retries`?'
        printf 'url = "http://[::1]/"\n\nrate = "often"\noutput = "o"\n' >"$T/job.toml"
        refused
        says "^error: line 3 of .*job.toml: .often. is not a value for --rate"
        printf 'url = [\n' >"$T/job.toml"
        refused
        says '^why: line '
        "#,
    )
    .expect(0);
}

#[test]
fn a_printed_job_file_holds_no_secret() {
    in_namespace(
        r#"
        "$V6KIT" crawl 'http://[::1]/' -o "$T/o" -H 'Authorization: Bearer s3cret' -H 'Accept: a' --print-job \
            >"$T/job.toml" 2>"$T/err"
        grep -q '^header = \["Accept: a"\]$' "$T/job.toml"
        if grep s3cret "$T/job.toml" "$T/err"; then exit 1; fi
        grep -q '^warning: the header Authorization is a secret' "$T/err"
        "#,
    )
    .expect(0);
}
