//! How fast connections are begun.

use super::wire;

#[test]
fn connections_are_begun_no_faster_than_told_and_who_would_wait_too_long_is_refused_by_name() {
    wire(
        "--threads 2 --connect-rate 20/s --connect-timeout 1s --allow-destination ::1/128",
        "",
        include_str!(
            "pace/connections_are_begun_no_faster_than_told_and_who_would_wait_too_long_is_refused_by_name.py"
        ),
    )
    .expect(0);
}
