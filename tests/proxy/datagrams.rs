//! UDP ASSOCIATE: whereto datagrams go, and what is told of those that go nowhere.

use super::wire;

/// An echo server of this host at `ip`, and a client with an association.
const CLIENT: &str = r#"
def server(ip):
    made = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((ip, 0))
    made.settimeout(60)
    return made
def associate():
    code, relay, control = socks("0.0.0.0", 0, command=3)
    check("ASSOCIATE", code, 0)
    mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mine.settimeout(60)
    mine.connect(relay)
    return mine, control
def ask(mine, name, at, payload):
    """Sends to the server `at`, called `name`, which answers; whom it saw."""
    port = at.getsockname()[1]
    mine.send(b"\0\0\0" + address(name, port) + payload)
    got, source = at.recvfrom(65536)
    check("the payload", got, payload)
    at.sendto(b"back" + got, source)
    ip = at.getsockname()[0]
    check("the answer", mine.recv(65536), b"\0\0\0" + address(ip, port) + b"back" + payload)
    return source[0]
import json
def outcomes(count):
    """The ends of so many associations."""
    while len(lines := open(f"{T}/log").read().splitlines()) < count:
        pass
    return [json.loads(line)["outcome"] for line in lines]
"#;

#[test]
fn datagrams_to_ipv4_leave_from_the_hosts_own_address_where_that_is_allowed() {
    wire(
        "--v4 direct --allow-destination ::1 --allow-destination 127.0.0.0/8 --access-log \"$T/log\"",
        r#"echo "127.0.0.1 old.test" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts"#,
        &format!(
            r#"{CLIENT}
old, new = server("127.0.0.1"), server("::1")
mine, control = associate()
check("IPv4", ask(mine, "127.0.0.1", old, b"a"), "127.0.0.1")
check("IPv4 by name", ask(mine, "old.test", old, b"b" * 9000), "127.0.0.1")
assert ask(mine, "::1", new, b"c").startswith("2001:db8:6:")
check("IPv4 again", ask(mine, "127.0.0.1", old, b"d"), "127.0.0.1")
# Who was not sent to is not heard, over IPv4 either.
stranger = server("127.0.0.2")
mine.send(b"\0\0\0" + address("127.0.0.1", old.getsockname()[1]) + b"e")
_, source = old.recvfrom(100)
stranger.sendto(b"stranger", source)
old.sendto(b"friend", source)
assert mine.recv(100).endswith(b"friend")
control.close()
check("in the log", outcomes(1), ["ok"])
"#
        ),
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
