//! Which address, how often, and what is said.

use super::lab;

#[test]
fn an_address_lasts_as_long_as_it_was_told_to() {
    lab(include_str!("said/an_address_lasts_as_long_as_it_was_told_to.sh")).expect(0);
}

#[test]
fn ipv4_and_what_is_excepted_leave_from_the_host_where_that_is_wanted() {
    lab(include_str!(
        "said/ipv4_and_what_is_excepted_leave_from_the_host_where_that_is_wanted.sh"
    ))
    .expect(0);
}

#[test]
fn name_servers_are_reached_from_the_host_and_that_is_said_once() {
    lab(r#"
        own=$(ip -6 -o addr show dev "$V6KIT_LAB_DEV" scope global | grep -o '2001[^/ ]*' | head -n 1)
        coproc DNS { exec nsenter --net="$V6KIT_LAB_TARGET_NS" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
            --no-hosts --listen-address=2001:db8:80::80 --bind-interfaces --user=root --pid-file= \
            --address=/target.example/2001:db8:80::80 --log-queries=extra --log-facility=-; } 2>"$T/dns.log"
        eventually grep -q started "$T/dns.log"
        echo 'nameserver 2001:db8:80::80' > "$T/resolv"; mount --bind "$T/resolv" /etc/resolv.conf
        rotates 2 "$(from -- sh -c 'curl -sS http://target.example/; curl -sS http://target.example/' 2>"$T/err")"
        is "$(grep -c 'name server \[2001:db8:80::80\]:53 of /etc/resolv.conf is reached from this host' "$T/err")" 1
        is "$(grep 'query\[AAAA\]' "$T/dns.log" | grep -vc " $own/")" 0
    "#)
    .expect(0);
}

#[test]
fn blocking_connections_are_held_to_the_rate_and_of_others_the_end_says_how_many_were_not() {
    lab(include_str!(
        "said/blocking_connections_are_held_to_the_rate_and_of_others_the_end_says_how_many_were_not.sh"
    ))
    .expect(0);
}

#[test]
fn what_cannot_work_is_said_before_the_program_starts() {
    lab(r#"
        from -- "$V6KIT" exec --prefix "$V6KIT_LAB_PREFIX" -- touch "$T/ran" 2>"$T/err" && exit 1 || is $? 125
        grep -q 'there can be one' "$T/err"; grep -q 'v6kit proxy' "$T/err"
        [ ! -e "$T/ran" ]
        https_proxy=http://[::1]:9 from -- true 2>"$T/err"
        grep -q 'https_proxy is set' "$T/err"
        grep -q 'it made none that was seen' "$T/err"
        ip -6 route del local "$V6KIT_LAB_PREFIX" dev lo
        from -- true 2>"$T/err"
        grep -q 'is not delivered to this host' "$T/err"
    "#)
    .expect(0);
}
