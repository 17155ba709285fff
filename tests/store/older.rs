//! Job directories of earlier builds are read and gone on with.
//!
//! `jobs/FORMAT` was left by a crawl of `http://[::1]:8080/items/{1..60}` (an echo server) that was interrupted after a
//! third of its items, `jobs/FORMAT-killed` by one that was killed: its ledger has a log of changes that was never
//! folded in, and behind what was committed lies part of a frame. `jobs/*.lines` are the records that were
//! committed, as the build that wrote them read them. All are of format 1 of the ledger.

use super::{FORMATS, assert_each_once, cat, check, scratch};
use crate::harness::{in_namespace_with, repository, run};

/// A copy of a job directory of an earlier build, and the records in it.
fn copied(name: &str, to: &std::path::Path) -> Vec<serde_json::Value> {
    let jobs = repository().join("tests/store/jobs");
    run(std::process::Command::new("cp")
        .arg("-r")
        .arg(jobs.join(name))
        .arg(to.join("job")))
    .expect(0);
    std::fs::read_to_string(jobs.join(format!("{name}.lines")))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_job_of_an_earlier_build_is_read_and_gone_on_with_whatever_its_format_and_its_end() {
    for format in FORMATS {
        for name in [format.to_owned(), format!("{format}-killed")] {
            let scratch = scratch();
            let job = scratch.path().join("job");
            let before = copied(&name, scratch.path());
            assert_eq!(cat(&job, &[]), before, "{name}");
            let run = in_namespace_with(
                scratch.path(),
                &format!(
                    r#"
                    coproc SERVER {{ exec "$V6KIT" echo --json --listen '[::1]:8080'; }}
                    read -r started <&"${{SERVER[0]}}"
                    "$V6KIT" crawl 'http://[::1]:8080/items/{{1..60}}' -o "$T/job" -r max --keep-free 0 \
                        --format {format} --robots ignore --json
                    "#
                ),
            )
            .expect(0);
            assert_eq!(run.json()["resumed"], before.len() as u64, "{name}: {run}");
            assert_eq!(run.json()["complete"], true, "{name}: {run}");
            let after = cat(&job, &[]);
            assert_each_once(&after, 60);
            let kept = after.iter().filter(|record| before.contains(record)).count();
            assert_eq!(kept, before.len(), "{name}: what was committed stays as it was");
            check(&job, &[], 0);
        }
    }
}
