//! Other people's programs through the proxy: each answer proves another source, and each TLS handshake is
//! checked against the target's own certificate.

use super::lab;
use crate::harness::{Run, repository};

/// Runs Python with the packages of `requirements.txt`; the proxy is at `sys.argv[1]`.
#[track_caller]
fn python(script: &str, answers: u32) -> Run {
    let python = repository().join("target/python/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: tests/run makes it from tests/proxy/requirements.txt",
        python.display()
    );
    lab(&format!(
        "echo \"2001:db8:80::80 localhost\" > \"$T/hosts\"; mount --bind \"$T/hosts\" /etc/hosts
        proxy
        cat > \"$T/client.py\" <<'PY'
import asyncio, os, ssl, sys
at = sys.argv[1]
plain, tls, ca = (os.environ['V6KIT_LAB_TARGET' + name] for name in ('', '_TLS', '_TLS_CA'))
{script}
PY
        export V6KIT_LAB_TARGET_TLS_CA=$V6KIT_LAB_TARGET_CA
        seen=$('{}' \"$T/client.py\" \"$at\")
        rotates {answers} \"$seen\"
        ",
        python.display()
    ))
}

#[test]
fn requests_with_pysocks() {
    python(
        r#"
import requests
for scheme in ("http", "socks5", "socks5h"):
    proxy = f"{scheme}://{at}"
    for url in (plain, tls):
        print(requests.get(url, proxies={"http": proxy, "https": proxy}, verify=ca, timeout=60).text.strip())
"#,
        6,
    )
    .expect(0);
}

#[test]
fn aiohttp_over_a_connection_that_it_keeps() {
    python(
        r#"
import aiohttp
async def main():
    context = ssl.create_default_context(cafile=ca)
    async with aiohttp.ClientSession() as session:
        for _ in range(5):
            async with session.get(plain, proxy=f"http://{at}") as response:
                print((await response.text()).strip())
    for _ in range(3):
        async with aiohttp.ClientSession() as session:
            async with session.get(tls, proxy=f"http://{at}", ssl=context) as response:
                print((await response.text()).strip())
asyncio.run(main())
"#,
        8,
    )
    .expect(0);
}

#[test]
fn rnet_with_the_tls_of_a_browser() {
    // With a proxy rnet names an IP literal in SNI, which servers refuse: the certificate's name is used.
    python(
        r#"
import rnet
async def main():
    for scheme in ("http", "socks5h"):
        for url in (plain, "https://localhost"):
            client = rnet.Client(proxies=[rnet.Proxy.all(f"{scheme}://{at}")], verify=ca)
            print((await (await client.get(url)).text()).strip())
asyncio.run(main())
# rnet's own threads may outlive the interpreter, and crash it.
sys.stdout.flush()
os._exit(0)
"#,
        4,
    )
    .expect(0);
}

#[test]
fn every_programs_own_tls_handshake_arrives_byte_for_byte() {
    let python = repository().join("target/python/bin/python");
    lab(&[
        format!("PYTHON='{}'", python.display()).as_str(),
        include_str!("programs/every_programs_own_tls_handshake_arrives_byte_for_byte.sh"),
    ]
    .join("\n"))
    .expect(0);
}

#[test]
fn chromium_with_its_own_network_stack() {
    lab(r#"
        proxy
        # Only the target's own key is accepted.
        key=$(openssl x509 -in "$V6KIT_LAB_TARGET_CA" -pubkey -noout | openssl pkey -pubin -outform der \
            | openssl dgst -sha256 -binary | base64)
        browse() { # proxy, url
            HOME=$T chromium-headless-shell --no-sandbox --disable-gpu --disable-quic --no-first-run \
                --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
                --user-data-dir="$(mktemp -d -p "$T")" --proxy-server="$1" \
                --ignore-certificate-errors-spki-list="$key" --dump-dom "$2" 2>>"$T/chromium.err" \
                | grep -o "$net:[0-9a-f:]*" || { cat "$T/chromium.err" >&2; return 1; }
        }
        rotates 4 "$(for scheme in http socks5; do
            browse "$scheme://$at" "$V6KIT_LAB_TARGET"
            browse "$scheme://$at" "$V6KIT_LAB_TARGET_TLS"
        done)"
    "#)
    .expect(0);
}

#[test]
fn proxychains_around_a_program_that_knows_of_no_proxy() {
    lab(r#"
        proxy --auth a:p
        seen=$(for kind in socks5 http; do
            printf 'strict_chain\nproxy_dns\n[ProxyList]\n%s %s a p\n' "$kind" "${at/:/ }" > "$T/chains.conf"
            for url in "$V6KIT_LAB_TARGET" "$V6KIT_LAB_TARGET_TLS"; do
                proxychains4 -q -f "$T/chains.conf" curl -sS -g --cacert "$V6KIT_LAB_TARGET_CA" "$url"
            done
        done)
        rotates 4 "$seen"
    "#)
    .expect(0);
}
