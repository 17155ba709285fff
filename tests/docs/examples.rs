//! The files in examples/ are what they claim to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::pages::Page;
use crate::harness::{V6KIT, in_lab, in_namespace, path_with_sbin, repository, run, v6kit};

fn examples() -> PathBuf {
    repository().join("examples")
}

/// Every file below `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_example_is_listed_and_of_a_checked_kind() {
    let top = repository();
    let listed = Page::read(&top, Path::new("examples/README.md")).code;
    for path in files(&examples()) {
        let path = path
            .strip_prefix(&top)
            .expect("a path below")
            .to_string_lossy()
            .into_owned();
        let kind = Path::new(&path)
            .components()
            .nth(1)
            .expect("a kind")
            .as_os_str()
            .to_owned();
        // The scripts are run by the walk-throughs.
        let kinds = [
            "jobs",
            "systemd",
            "cloud-init",
            "nginx",
            "podman",
            "scripts",
            "README.md",
        ];
        assert!(kinds.iter().any(|known| kind == *known), "no test checks {path}");
        let is_beside = path.ends_with("README.md") || path.ends_with("Containerfile");
        assert!(
            is_beside || listed.contains(&path),
            "examples/README.md does not name {path}"
        );
    }
}

#[test]
fn every_job_file_is_read_and_says_the_same_again() {
    let jobs = files(&examples().join("jobs"));
    assert!(jobs.len() >= 3);
    for job in jobs {
        let job = job.to_str().expect("a path");
        let printed = v6kit(&["crawl", "--job", job, "--print-job"]).expect(0).stdout;
        for line in fs::read_to_string(job).expect("a job").lines() {
            let Some((key, _)) = line.split_once(" = ") else {
                continue;
            };
            assert!(
                printed.lines().any(|line| line.starts_with(&format!("{key} = "))),
                "{job}: {key} is lost:\n{printed}"
            );
        }
    }
}

#[test]
fn the_job_of_a_list_crawls_in_a_lab() {
    let job = examples().join("jobs/list.toml");
    let run = in_lab(
        "routed",
        &format!(
            r#"
            cd "$T"
            for id in 1 2 3; do echo "$V6KIT_LAB_TARGET/items/$id"; done | gzip >urls.txt.gz
            "$V6KIT" crawl --job "{}" -r max --keep-free 0 --json
            "#,
            job.display()
        ),
    )
    .expect(0);
    assert_eq!(run.json()["ok"], 3, "{run}");
}

#[test]
fn systemd_has_nothing_to_say_about_units_and_drop_ins() {
    let directory = tempfile::tempdir().expect("a directory");
    let units = directory.path().join("units");
    let script = r#"
        set -euo pipefail
        mkdir "$UNITS"
        cp "$TOP"/systemd/*.service "$TOP"/systemd/*.socket "$TOP"/systemd/*.timer "$UNITS/"
        cp -r "$TOP"/examples/systemd/* "$UNITS/"
        # The binary that is to be installed.
        sed -i "s|/usr/bin/v6kit|$V6KIT|" "$UNITS"/*.service
        cd "$UNITS"
        SYSTEMD_UNIT_PATH="$UNITS:" systemd-analyze verify --man=no v6kit-crawl@api.timer v6kit-crawl@api.service \
            v6kit-proxy.service 2>&1 | { grep -F "$UNITS" || true; }
    "#;
    let run = run(Command::new("bash")
        .args(["-c", script])
        .env("UNITS", &units)
        .env("TOP", repository())
        .env("V6KIT", V6KIT))
    .expect(0);
    assert_eq!(run.stdout, "", "{run}");
}

#[test]
fn systemd_says_so_when_a_drop_in_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = r#"
        set -euo pipefail
        mkdir -p "$UNITS/v6kit-proxy.service.d"
        cp "$TOP"/systemd/*.service "$TOP"/systemd/*.socket "$TOP"/systemd/*.timer "$UNITS/"
        printf '[Service]\nMemoryMaximum=1G\n' >"$UNITS/v6kit-proxy.service.d/wrong.conf"
        { SYSTEMD_UNIT_PATH="$UNITS:" systemd-analyze verify --man=no v6kit-proxy.service 2>&1 || true; } |
            grep -F "$UNITS"
    "#;
    let run = run(Command::new("bash")
        .args(["-c", script])
        .env("UNITS", directory.path().join("units"))
        .env("TOP", repository()))
    .expect(0);
    assert!(run.stdout.contains("MemoryMaximum"), "{run}");
}

#[test]
fn options_in_drop_ins_are_options() {
    let text = fs::read_to_string(examples().join("systemd/v6kit-proxy.service.d/addresses.conf"))
        .expect("a drop-in");
    let options = text
        .lines()
        .find_map(|line| line.strip_prefix("Environment=\"V6KIT_PROXY_OPTIONS="))
        .expect("options")
        .trim_end_matches('"');
    // Everything but the users' file is understood; that is looked for last.
    let mut words = vec!["proxy"];
    words.extend(options.split(' '));
    let run = v6kit(&words);
    assert!(run.code != 0 && !run.stderr.contains("wrong usage"), "{run}");
    assert!(run.stderr.contains("%d/users"), "{run}");
}

#[test]
fn cloud_init_gets_a_document_whose_files_and_commands_are_understood() {
    let script = r##"
import json, sys, yaml
text = open(sys.argv[1]).read()
assert text.startswith("#cloud-config\n"), "cloud-init looks at the first line"
document = yaml.safe_load(text)
known = {"package_update", "packages", "write_files", "runcmd"}
assert set(document) <= known, set(document) - known
json.dump(document, sys.stdout)
"##;
    let document = run(Command::new(repository().join("target/python/bin/python"))
        .args(["-c", script])
        .arg(examples().join("cloud-init/vps.yaml")))
    .expect(0)
    .json();
    let wishes = document["write_files"]
        .as_array()
        .expect("files")
        .iter()
        .find(|file| file["path"] == "/etc/v6kit/host.toml")
        .expect("wishes")["content"]
        .as_str()
        .expect("text")
        .to_owned();
    in_namespace(&format!(
        "ip link add eth0 type veth peer name eth1; ip link set eth0 up\ncat >\"$T/host.toml\" <<'TOML'\n{wishes}TOML\n\
         \"$V6KIT\" setup --config \"$T/host.toml\" --dry-run"
    ))
    .expect(0);
    // Units that are enabled are ours.
    let commands = document["runcmd"].as_array().expect("commands");
    let enable = commands
        .iter()
        .find(|command| command[0] == "systemctl")
        .expect("systemctl");
    for unit in enable
        .as_array()
        .expect("words")
        .iter()
        .filter_map(|word| word.as_str())
    {
        if unit.starts_with("v6kit") {
            assert!(repository().join("systemd").join(unit).exists(), "{unit}");
        }
    }
}

/// Where nginx keeps what does not fit into memory. As root it gives the system's directories to another user.
fn own_directories(at: &str) -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {at}/{kind};\n"))
        .concat()
}

/// nginx's own check of a configuration, with files of the test in place of the system's.
fn nginx_check(text: &str) -> crate::harness::Run {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display().to_string();
    let text = text
        .replace("/etc/ssl/load", &format!("{at}/load"))
        .replace("/run/nginx.pid", &format!("{at}/pid"))
        .replace("/var/log/nginx", &at)
        .replace(
            "    access_log off;\n",
            &format!("    access_log off;\n{}", own_directories(&at)),
        );
    fs::write(directory.path().join("nginx.conf"), text).expect("a configuration");
    run(Command::new("bash")
        .args([
            "-c",
            r#"
            set -euo pipefail
            cd "$AT"
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=load.example.org \
                -keyout load.key -out load.pem 2>/dev/null
            unshare --user --map-root-user --net nginx -t -g "user root;" -p "$AT" -c "$AT/nginx.conf" -e "$AT/error.log"
            "#,
        ])
        .env("AT", &at)
        .env("PATH", path_with_sbin()))
}

#[test]
fn nginx_takes_the_configuration_for_its_version_and_both_say_the_same() {
    let [old, new] = ["1.22", "1.25"].map(|version| {
        fs::read_to_string(examples().join(format!("nginx/nginx-{version}.conf"))).expect("a file")
    });
    // The newer form in the words of the older one, but for the remark on top.
    let as_old = new
        .replace("ssl backlog", "ssl http2 backlog")
        .replace("        http2 on;\n", "")
        .replace("from 1.25.1 on", "before 1.25.1");
    assert_eq!(as_old, old);
    let version = run(Command::new("nginx").arg("-v").env("PATH", path_with_sbin()))
        .expect(0)
        .stderr;
    let numbers: Vec<u32> = version
        .trim()
        .rsplit('/')
        .next()
        .expect("a version")
        .split(['.', ' '])
        .map_while(|part| part.parse().ok())
        .collect();
    let is_new = numbers >= vec![1, 25, 1];
    nginx_check(if is_new { &new } else { &old }).expect(0);
    let wrong = nginx_check(&old.replace("worker_connections", "worker_connection"));
    assert!(
        wrong.code != 0 && wrong.stderr.contains("worker_connection"),
        "{wrong}"
    );
}

#[test]
fn the_container_needs_no_capability() {
    let script = examples().join("podman/run.sh");
    run(Command::new("shellcheck").arg(&script)).expect(0);
    // As its options have it: no capability, no new privileges, and nobody in particular.
    let run = in_lab(
        "routed",
        r#"
        "$V6KIT" setup --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" >/dev/null
        setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs \
            bash -c '
                grep -q "^CapEff:[[:space:]]*0*$" /proc/self/status
                "$V6KIT" crawl "$V6KIT_LAB_TARGET/items/{1..50}" -o "$T/items" --prefix "$V6KIT_LAB_PREFIX" \
                    --requests-per-address 1 -r max --keep-free 0 --json
            '
        "#,
    )
    .expect(0);
    assert_eq!(
        (&run.json()["ok"], &run.json()["addresses"]),
        (&50.into(), &51.into()),
        "{run}"
    );
}
