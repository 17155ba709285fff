//! Options as other programs have them (curl, wget, aria2, httpie, ip), and what they are called here.

/// What was typed, and the option of a command here. The first whose option the command has is meant.
const HABITS: [(&str, &str); 65] = [
    ("-L", "--redirects 5"),
    ("--location", "--redirects 5"),
    ("--follow", "--redirects 5"),
    ("--max-redirs", "--redirects"),
    ("--max-redirect", "--redirects"),
    ("-k", "--insecure"),
    ("--no-check-certificate", "--insecure"),
    ("--check-certificate", "--insecure"),
    ("--verify", "--insecure"),
    ("--ca-certificate", "--cacert"),
    ("--max-time", "--timeout"),
    ("-m", "--timeout"),
    ("-T", "--timeout"),
    ("--read-timeout", "--idle-timeout"),
    ("--retry", "--retries"),
    ("--tries", "--retries"),
    ("--max-tries", "--retries"),
    ("-t", "--retries"),
    ("--parallel", "--concurrency"),
    ("-Z", "--concurrency"),
    ("--parallel-max", "--concurrency"),
    ("-j", "--concurrency"),
    ("--jobs", "--concurrency"),
    ("--max-concurrent-downloads", "--concurrency"),
    ("--connections", "--concurrency"),
    ("--wait", "--rate 1/s"),
    ("-w", "--rate 1/s"),
    ("--limit-rate", "--rate"),
    ("--max-overall-download-limit", "--rate"),
    ("--random-wait", "--order shuffle"),
    ("--head", "-X HEAD"),
    ("-I", "-X HEAD"),
    ("--user-agent", "-A"),
    ("-U", "-A"),
    ("--header", "-H"),
    ("--data", "-d"),
    ("--data-raw", "-d"),
    ("--data-binary", "-d"),
    ("--post-data", "-d"),
    ("--body-data", "-d"),
    ("--request", "-X"),
    ("--cookie", "-H 'Cookie: …'"),
    ("-b", "-H 'Cookie: …'"),
    ("--referer", "-H 'Referer: …'"),
    ("-e", "-H 'Referer: …'"),
    ("--oauth2-bearer", "--bearer-file FILE"),
    ("--all-proxy", "--proxy"),
    ("--socks5-hostname", "--proxy socks5h://HOST:PORT"),
    ("--socks5", "--proxy socks5://HOST:PORT"),
    ("--http1.1", "--http 1"),
    ("--http2", "--http 2"),
    ("--connect-to", "--resolve"),
    ("--input-file", "--input"),
    ("--remote-name", "--output DIR"),
    ("-O", "--output DIR"),
    ("-P", "--output DIR"),
    ("--directory-prefix", "--output DIR"),
    ("--warc-file", "--format warc"),
    ("--silent", "--quiet"),
    ("-s", "--quiet"),
    ("-p", "--listen 127.0.0.1:1234"),
    ("--port", "--listen 127.0.0.1:1234"),
    ("-l", "--listen 127.0.0.1:1234"),
    ("--bind", "--listen"),
    ("--host", "--listen"),
];

/// The same for commands that have no address to listen on.
const FURTHER: [(&str, &str); 13] = [
    ("--interface", "--prefix"),
    ("--bind-address", "--prefix"),
    ("--multiple-interface", "--prefix"),
    ("--interface", "--dev"),
    ("-i", "--dev"),
    ("--iface", "--dev"),
    ("-d", "--dev"),
    ("-p", "--prefix"),
    ("-n", "--count"),
    ("--url", "--endpoint"),
    ("--dry", "--dry-run"),
    ("-y", "--yes"),
    ("--force", "--yes"),
];

/// What a crawl does, or does not do, without an option.
const OF_ITSELF: [(&[&str], &str); 5] = [
    (
        &["--compressed"],
        "leave it out: compressed answers are asked for and undone",
    ),
    (
        &["-f", "--fail", "--fail-with-body"],
        "leave it out: an answer with a status of 400 or more is no data, and its record says so",
    ),
    (
        &["-g", "--globoff"],
        "leave it out: square brackets are fetched as they stand; a range is written {1..5}",
    ),
    (
        &["--continue", "--continue-at", "-C", "-nc", "--no-clobber"],
        "leave it out: the same line again goes on where it stopped, as `v6kit help crawl resume` tells",
    ),
    (
        &["-6", "-4", "--ipv6", "--ipv4"],
        "leave it out: with --prefix everything leaves by IPv6; without, as the names say",
    ),
];

/// What was meant by `typed`, which the command that `has` asks about does not know.
pub(crate) fn meant(typed: &str, has: impl Fn(&str) -> bool, is_crawl: bool) -> Option<String> {
    if is_crawl && let Some((_, text)) = OF_ITSELF.iter().find(|(names, _)| names.contains(&typed)) {
        return Some((*text).to_owned());
    }
    let known = HABITS.iter().chain(&FURTHER).filter(|(habit, _)| *habit == typed);
    known
        .map(|(_, here)| *here)
        .find(|here| here.split(' ').next().is_some_and(&has))
        .map(|here| format!("here it is `{here}`"))
}
