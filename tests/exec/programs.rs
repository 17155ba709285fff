//! Real programs: each answer proves another source, and none the host's own.

use super::lab;
use crate::harness::repository;

/// Runs Python with the packages of `requirements.txt`, from the prefix.
#[track_caller]
fn python(script: &str, answers: u32) {
    let python = repository().join("target/python/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: tests/run makes it",
        python.display()
    );
    lab(&format!(
        "cat > \"$T/client.py\" <<'PY'
import asyncio, os, ssl
plain, tls, ca = (os.environ['V6KIT_LAB_TARGET' + name] for name in ('', '_TLS', '_TLS_CA'))
{script}
PY
        export V6KIT_LAB_TARGET_TLS_CA=$V6KIT_LAB_TARGET_CA
        rotates {answers} \"$(from -- '{}' \"$T/client.py\")\"
        ",
        python.display()
    ))
    .expect(0);
}

#[test]
fn curl_wget_and_busybox_in_a_script_that_forks() {
    lab(r#"
        cat > "$T/fetch" <<'SH'
curl -sS -g "$V6KIT_LAB_TARGET"
curl -sS -g --cacert "$V6KIT_LAB_TARGET_CA" "$V6KIT_LAB_TARGET_TLS"
wget -qO- "$V6KIT_LAB_TARGET"
busybox wget -qO- "$V6KIT_LAB_TARGET"
(curl -sS -g "$V6KIT_LAB_TARGET"; curl -sS -g "$V6KIT_LAB_TARGET") &
wait
SH
        rotates 6 "$(from -- sh "$T/fetch")"
    "#)
    .expect(0);
}

#[test]
fn requests_and_httpx() {
    python(
        r#"
import httpx, requests
for url in (plain, tls):
    print(requests.get(url, verify=ca, timeout=60).text.strip())
    with httpx.Client(verify=ssl.create_default_context(cafile=ca)) as client:
        print(client.get(url).text.strip())
async def main():
    for _ in range(3):
        async with httpx.AsyncClient() as client:
            print((await client.get(plain)).text.strip())
asyncio.run(main())
"#,
        7,
    );
}

#[test]
fn aiohttp_with_many_connections_at_a_time() {
    python(
        r#"
import aiohttp
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        async def one():
            async with session.get(plain) as response:
                return (await response.text()).strip()
        print("\n".join(await asyncio.gather(*(one() for _ in range(50)))))
asyncio.run(main())
"#,
        50,
    );
}

#[test]
fn node_fetch_and_a_browser() {
    lab(r#"
        cat > "$T/fetch.mjs" <<'JS'
for (let i = 0; i < 3; i++)
    console.log((await (await fetch(process.env.V6KIT_LAB_TARGET, {headers: {connection: "close"}})).text()).trim());
JS
        rotates 3 "$(from -- node "$T/fetch.mjs")"
        seen=$(for _ in 1 2; do
            HOME=$T from -q -- chromium-headless-shell --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
                --disable-component-update --disable-sync --disable-dev-shm-usage --user-data-dir="$(mktemp -d -p "$T")" \
                --dump-dom "$V6KIT_LAB_TARGET" 2>>"$T/chromium.err" | grep -o "$net:[0-9a-f:]*" || cat "$T/chromium.err" >&2
        done)
        rotates 2 "$seen"
    "#)
    .expect(0);
}

#[test]
fn git_over_http_reaches_its_server_from_the_prefix_alone() {
    lab(r#"
        export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        git init -q "$T/work" && git -C "$T/work" commit -q --allow-empty -m one
        git clone -q --bare "$T/work" "$T/served/a.git" && git -C "$T/served/a.git" update-server-info
        coproc WEB { exec nsenter --net="$V6KIT_LAB_TARGET_NS" python3 "$TESTS/exec/files.py" "$T/served" "$T/callers"; }
        read -r _ <&"${WEB[0]}"
        from -- git clone -q "http://[2001:db8:80::80]:8090/a.git" "$T/fetched"
        is "$(git -C "$T/fetched" log --format=%s)" one
        [ -s "$T/callers" ]
        is "$(grep -vc "^$net:" "$T/callers" || true)" 0
    "#)
    .expect(0);
}

#[test]
fn dig_over_udp_asks_from_the_prefix() {
    lab(r#"
        coproc DNS { exec nsenter --net="$V6KIT_LAB_TARGET_NS" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
            --no-hosts --port=5353 --listen-address=2001:db8:80::80 --bind-interfaces --user=root --pid-file= \
            --address=/a.example/2001:db8::a --log-queries=extra --log-facility=-; } 2>"$T/dns.log"
        answered() { is "$(from -q -- dig +short -p 5353 @2001:db8:80::80 a.example AAAA)" 2001:db8::a; }
        eventually grep -q started "$T/dns.log"
        answered; answered; answered
        rotates 3 "$(sed -n 's/.*query\[AAAA\] a.example from //p' "$T/dns.log")"
    "#)
    .expect(0);
}
