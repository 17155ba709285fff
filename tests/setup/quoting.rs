//! Hints with names that a shell would take apart: they run as they are printed.

use super::on_host;

/// `runs`: what the first command of a hint in `$T/log/said` does, with sudo at hand.
const RUNS: &str = r#"
sudo() { "$@"; }
export -f sudo
# The last part of a hint that is a command: names may hold what marks its ends.
hinted() { sed -n 's/^hint: [^`]*`\(.*\)`.*/\1/p' "$T/log/said" | sed 's/` (more: .*//; s/`; or .*//; s/`; with.*//' | head -1; }
runs() { bash -c "$(hinted)" || fail "$(cat "$T/log/said")"; }
ODD="$T/log/it's a; \$(touch x) dir"
"#;

#[test]
fn directories_with_spaces_quotes_and_semicolons_are_quoted() {
    on_host(
        &[
            RUNS,
            include_str!("quoting/directories_with_spaces_quotes_and_semicolons_are_quoted.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn devices_with_odd_names_are_quoted_and_a_renamed_one_is_told_by_its_new_name() {
    on_host(
        &[
            RUNS,
            include_str!(
                "quoting/devices_with_odd_names_are_quoted_and_a_renamed_one_is_told_by_its_new_name.sh"
            ),
        ]
        .join("\n"),
    );
}
