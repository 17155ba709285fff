//! UDP ASSOCIATE: whereto datagrams go, and what is told of those that go nowhere.

use super::wire;

/// An echo server of this host at `ip`, and a client with an association.
const CLIENT: &str = include_str!("datagrams/client.py");

#[test]
fn datagrams_to_ipv4_leave_from_the_hosts_own_address_where_that_is_allowed() {
    wire(
        "--v4 direct --allow-destination ::1 --allow-destination 127.0.0.0/8 --access-log \"$T/log\"",
        r#"echo "127.0.0.1 old.test" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts"#,
        &[
            CLIENT,
            include_str!(
                "datagrams/datagrams_to_ipv4_leave_from_the_hosts_own_address_where_that_is_allowed.py"
            ),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn an_association_of_which_nothing_was_sent_is_told_as_that() {
    wire(
        "--allow-destination ::1 --access-log \"$T/log\"",
        "",
        &format!(
            r#"{CLIENT}
here, count = server("::1"), 0
for names in (["192.0.2.1"], ["fe80::1"], ["nowhere.invalid"], ["fe80::1", "192.0.2.1"], ["fe80::1", "::1"], ["::1", "fe80::1"], []):
    mine, control = associate()
    for name in names:
        if name == "::1":
            ask(mine, name, here, b"x")
        else:
            mine.send(b"\0\0\0" + address(name, 53) + b"x")
    # What was sent before the end is looked at.
    control.close()
    count += 1
    outcomes(count)
check("in the log", outcomes(7),
      ["ipv4_only", "denied", "name_servers", "ipv4_only", "ok", "ok", "ok"])
"#
        ),
    )
    .expect(0);
}
