//! Every command that the sources print in backticks, executed as it is printed, in a namespace with an uplink, a
//! prefix that is set up and a finished crawl. What cannot be executed there stands in a table with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::{Captures, Regex};

use crate::harness::{in_namespace, quoted, repository};

/// What begins like this is not executed, for this reason.
const NOT_EXECUTED: [(&str, &str); 23] = [
    ("restorecon", "no SELinux is in the kernel of the tests"),
    (
        "rc-update",
        "no OpenRC runs where the tests do; tests/boot says it",
    ),
    ("apt install", "it fetches from a mirror"),
    (
        "install {}",
        "it writes to /usr/local/bin, which is this machine's",
    ),
    ("systemctl", "no systemd runs in a namespace; tests/boot has one"),
    ("journalctl", "no systemd runs in a namespace; tests/boot has one"),
    ("modprobe", "it loads a module into this machine's kernel"),
    ("ssh", "there is no router to log in to; tests/openwrt has one"),
    (
        "timeout 60 ssh",
        "there is no router to log in to; tests/openwrt has one",
    ),
    ("df -h /overlay", "it is for the router"),
    (
        "nft -a list chain ...",
        "it is a pattern for each chain, on the router",
    ),
    (
        "v6kit router check",
        "it asks a router over ssh; tests/openwrt has one",
    ),
    ("openssl pkey", "KEY and PLAIN stand for the user's files"),
    (
        "dmesg",
        "the kernel's log is this machine's, and not for a user namespace",
    ),
    (
        "sysctl net.netfilter",
        "the module may not be loaded on this machine",
    ),
    (
        "sysctl -w fs.",
        "only root of the first user namespace may set it",
    ),
    (
        "sysctl -w {CONNTRACK_MAX}",
        "only the first network namespace may set it",
    ),
    (
        "ip6tables",
        "a table of its own is loaded by the first namespace that asks for it",
    ),
    ("ip xfrm policy", "the kernel may be built without"),
    (
        "v6kit …",
        "it stands for what was typed: tests of each refusal run it",
    ),
    (
        "v6kit {command}",
        "it is put together, or stands for what was typed: tests/verify and each refusal run it",
    ),
    (
        "v6kit lab run -- {argument}",
        "a lab inside of this one; tests/lab.rs runs it",
    ),
    ("v6kit lab run -- bash", "it opens a shell; tests/lab.rs runs it"),
];

/// Names in a text, and patterns: nothing that somebody is told to type.
const NAMES: [&str; 21] = [
    "v6kit ndp",
    "ip6 {table}",
    "nft",
    "ssh",
    "systemctl {words}",
    "curl --interface",
    "v6kit setup",
    "v6kit teardown",
    "v6kit setup --config",
    "v6kit setup --persist",
    "v6kit crawl --job FILE",
    "v6kit explain NAME",
    "v6kit explain {}",
    "v6kit explain {code}",
    "v6kit {}",
    "v6kit help{path}",
    "v6kit help",
    "v6kit crawl --help",
    "v6kit lab demo",
    "ip rule",
    "command",
];

/// What has to be there before.
const PREPARED: [(&str, &str); 12] = [
    (
        "nft list chain {chain}",
        "nft add table inet elsewhere && nft add chain inet elsewhere passing",
    ),
    (
        "nft delete table ip6 {table}",
        "nft add table ip6 v6kit_elsewhere",
    ),
    (
        "ip -6 route del local {route}",
        "ip -6 route add local 2001:db8:9::/64 dev lo proto 86",
    ),
    (
        "ip -6 route del {kind} {prefix} table local",
        "ip -6 route add blackhole 2001:db8:1::/64 table local",
    ),
    (
        "ip -6 route del {} table main metric {}",
        "ip -6 route add 2001:db8:9::/64 via 2001:db8:ffff::1 dev up0 metric 7",
    ),
    (
        "ip -6 route del {first} table main",
        "ip -6 route add blackhole 2001:db8:1:0:8000::/66",
    ),
    (
        "ip -6 route add {prefix} via {}",
        "ip -6 route flush 2001:db8:1::/64",
    ),
    ("nft delete table inet v6kit", "nft add table inet v6kit"),
    ("nft list table inet v6kit", "nft add table inet v6kit"),
    ("rm {}", "touch /etc/security/limits.d/90-v6kit.conf"),
    (
        "pgrep -a v6kit",
        "\"$V6KIT\" echo --listen '[::1]:0' & eventually pgrep -x v6kit",
    ),
    (
        "ip -6 rule add from {prefix} lookup 100",
        "ip -6 rule flush table 100",
    ),
];

/// Exit codes of v6kit that say how it went, not that it was typed wrong.
const ANSWERS: [i32; 4] = [0, 1, 18, 75];

/// Those that go on until they are ended: they have begun when they are still there after a while.
const ENDLESS: [&str; 2] = ["v6kit ndp", "v6kit proxy"];

/// Programs whose name at the beginning makes it a command.
const PROGRAMS: &str = "v6kit|ip6?|nft|sysctl|mkdir|rm|ssh|systemctl|journalctl|pgrep|ip6tables|ls|kill|timeout|dmesg|\
                        install|apt|openssl|ulimit|df|modprobe|curl|command|chmod|chown|restorecon|rc-update";

/// The text of a source without its tests and comments.
fn printed(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.collect::<Vec<_>>().join("\n");
    Regex::new(r"\\\n\s*")
        .expect("it is there, and well-formed")
        .replace_all(&text, "")
        .into_owned()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Every command of the sources, without its sudo.
fn commands() -> BTreeSet<String> {
    let mut files = Vec::new();
    for found in fs::read_dir(repository().join("crates")).expect("it is there, and well-formed") {
        sources(
            &found.expect("it is there, and well-formed").path().join("src"),
            &mut files,
        );
    }
    let command = Regex::new(&format!(r"`((?:sudo )?(?:{PROGRAMS})(?: [^`\n]*)?)`"))
        .expect("it is there, and well-formed");
    let mut commands = BTreeSet::new();
    for path in files {
        let text = printed(&fs::read_to_string(&path).expect("it is there, and well-formed"));
        for found in command.captures_iter(&text) {
            commands.insert(found[1].trim_start_matches("sudo ").trim().to_owned());
        }
    }
    commands
}

/// The command with what the sources put in.
fn filled(command: &str) -> String {
    let place = Regex::new(r"\{(\w*)(?::\?)?\}").expect("it is there, and well-formed");
    place
        .replace_all(command, |found: &Captures<'_>| {
            let before = &command[..found.get(0).expect("it is there, and well-formed").start()];
            let ends = |text| before.ends_with(text);
            match &found[1] {
                "prefix" | "network" => "2001:db8:1::/64",
                "kind" => "blackhole",
                "table" => "v6kit_elsewhere",
                "from" => "2001:db8:1::/64",
                "way" => "via 2001:db8:ffff::1 dev up0",
                "chain" => "inet elsewhere passing",
                "FORWARDING" => "net.ipv6.conf.all.forwarding",
                "untracked" => "2001:db8:1::/64",
                "first" if ends("sysctl -w ") => "net/ipv6/conf/up0/accept_ra=2 ",
                "first" => "blackhole 2001:db8:1:0:8000::/66",
                "PROTOCOL" => "86",
                "route" => "2001:db8:9::/64 dev lo table local proto 86",
                "HOST_FILE" => "\"$T/host.toml\"",
                "device" | "home" | "now" => "up0",
                "to" => "2001:db8:ffff::1",
                _ if ends("--dev ") || ends("link set ") => "up0",
                _ if ends("--prefix ") => "2001:db8:1::/64",
                _ if ends("sysctl -w ") => "net/ipv6/conf/up0/accept_ra=1",
                _ if ends("--config ") => "\"$T/host.toml\"",
                _ if ends("crawl check ") || ends("crawl retry ") => "\"$T/a crawl\"",
                _ if ends("mkdir -p ") => "\"$T/new/one\"",
                _ if ends("route get ") => "2001:db8:ffff::1",
                _ if ends(" via ") => "2001:db8:ffff::9",
                _ if ends("route del ") => "2001:db8:9::/64 via 2001:db8:ffff::1 dev up0",
                _ if ends("metric ") => "7",
                _ if ends("mtu ") => "1280",
                _ if ends("rm ") => "/etc/security/limits.d/90-v6kit.conf",
                _ if ends("; ") => "sudo rm -f \"$T/nothing\"",
                other => panic!("`{command}`: what stands for {{{other}}}?"),
            }
        })
        // A crawl's directory.
        .replace(" DIR", " \"$T/a crawl\"")
}

#[test]
fn every_command_in_a_hint_runs_as_it_is_printed() {
    let all = commands();
    assert!(all.len() > 60, "only {} commands found: {all:#?}", all.len());
    for (start, _) in NOT_EXECUTED {
        assert!(
            all.iter().any(|command| command.starts_with(start)),
            "no source prints `{start}` any more"
        );
    }
    let is_excused = |command: &str| NOT_EXECUTED.iter().any(|(start, _)| command.starts_with(start));
    let mut script = String::new();
    let mut executed = 0;
    for command in all.iter().filter(|command| !NAMES.contains(&command.as_str())) {
        if is_excused(command) {
            continue;
        }
        executed += 1;
        let prepare = PREPARED
            .iter()
            .find(|(of, _)| of == command)
            .map_or("true", |(_, prepare)| *prepare);
        let codes = if ENDLESS.iter().any(|start| command.starts_with(start)) {
            "124".to_owned()
        } else if command.starts_with("v6kit") {
            ANSWERS.map(|code| code.to_string()).join("|")
        } else {
            "0".to_owned()
        };
        script.push_str(&format!(
            "execute '{codes}' {} {}\n",
            quoted(prepare),
            quoted(&filled(command))
        ));
    }
    assert!(executed > 40, "only {executed} were executed");
    in_namespace(&format!(
        "{FIXTURE}\n{script}\n[ ! -s \"$T/failed\" ] || {{ cat \"$T/failed\" >&2; exit 1; }}"
    ))
    .expect(0);
}

/// `execute CODES PREPARATION COMMAND`: each in a shell of its own, which must end with one of the codes.
const FIXTURE: &str = include_str!("hints/fixture.sh");
