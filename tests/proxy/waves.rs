//! Very many connections whose ends are killed at random: nothing of them stays behind.

use super::lab;

/// Opens connections through the proxy in every form, and ends each in another way. `WAVES` runs it in
/// processes of its own, which it kills.
const CLIENT: &str = include_str!("waves/client.py");

/// Answers, breaks off, resets, stalls.
const SERVER: &str = include_str!("waves/server.py");

const WAVES: &str = include_str!("waves/waves.py");

#[test]
fn waves_of_killed_clients_and_servers_leave_nothing_behind() {
    lab(&format!(
        r#"
        cat > "$T/client.py" <<'PY'
{CLIENT}
PY
        cat > "$T/server.py" <<'PY'
{SERVER}
PY
        cat > "$T/waves.py" <<'PY'
{WAVES}
PY
        proxy --threads 2 --allow-destination ::1 --metrics 127.0.0.1:0 --access-log "$T/log" --idle-timeout 20s --handshake-timeout 3s
        rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
        timeout 500 python3 "$T/waves.py" "$at" "$metrics" "$pid" "$T" >&2
        rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
        grep -q panicked "$T/proxy.err" && exit 1
        stop
        "#
    ))
    .expect(0);
}
