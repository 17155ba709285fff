//! How many files a login may open before limits.conf(5) has its say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};

use super::lines::parse_limit;
use crate::limits::Pair;

/// What systemd gives where nobody says anything else.
pub(super) const SYSTEMD_DEFAULT: Pair = Pair {
    soft: Some(1024),
    hard: Some(524_288),
};

/// Where settings of the manager lie; of two files of one name the first counts.
const SYSTEMD: [&str; 4] = [
    "/etc/systemd",
    "/run/systemd",
    "/usr/local/lib/systemd",
    "/usr/lib/systemd",
];

/// What systemd, or where it does not run the first process, gives to daemons that start logins.
pub(super) fn of_daemons() -> io::Result<Pair> {
    if Path::new("/run/systemd/system").is_dir() {
        systemd_default(&SYSTEMD.map(PathBuf::from))
    } else {
        Ok(first_process())
    }
}

/// DefaultLimitNOFILE of system.conf and its drop-ins below `directories`.
fn systemd_default(directories: &[PathBuf]) -> io::Result<Pair> {
    let mut files: Vec<PathBuf> = directories
        .iter()
        .map(|directory| directory.join("system.conf"))
        .find(|path| path.exists())
        .into_iter()
        .collect();
    let mut fragments: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        let Ok(entries) = fs::read_dir(directory.join("system.conf.d")) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if entry.path().extension().is_some_and(|e| e == "conf") {
                fragments.entry(entry.file_name()).or_insert_with(|| entry.path());
            }
        }
    }
    files.extend(fragments.into_values());
    let mut pair = SYSTEMD_DEFAULT;
    for path in files {
        let text = fs::read(&path)?;
        for line in String::from_utf8_lossy(&text).lines() {
            let value = line
                .split_once('=')
                .filter(|(key, _)| key.trim() == "DefaultLimitNOFILE");
            if let Some((_, value)) = value {
                pair = parse_pair(value.trim()).unwrap_or(SYSTEMD_DEFAULT);
            }
        }
    }
    Ok(pair)
}

/// `SOFT:HARD`, or one number for both.
fn parse_pair(text: &str) -> Option<Pair> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    Some(Pair {
        soft: Some(parse_limit(soft)?),
        hard: Some(parse_limit(hard)?),
    })
}

/// The limits of this process, which it has from the login that called it.
pub(super) fn own() -> Pair {
    getrlimit(Resource::RLIMIT_NOFILE).map_or_else(
        |_| Pair::default(),
        |(soft, hard)| Pair {
            soft: Some(soft),
            hard: Some(hard),
        },
    )
}

/// The limits of the first process, which daemons and logins inherit where it is not systemd. Unknown where
/// it cannot be seen.
fn first_process() -> Pair {
    let limit = |value| match value {
        procfs::process::LimitValue::Unlimited => u64::MAX,
        procfs::process::LimitValue::Value(number) => number,
    };
    procfs::process::Process::new(1)
        .and_then(|process| process.limits())
        .map(|limits| Pair {
            soft: Some(limit(limits.max_open_files.soft_limit)),
            hard: Some(limit(limits.max_open_files.hard_limit)),
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(soft: u64, hard: u64) -> Pair {
        Pair {
            soft: Some(soft),
            hard: Some(hard),
        }
    }

    #[test]
    fn the_default_of_systemd_is_read_from_its_drop_ins() {
        let dir = tempfile::tempdir().unwrap();
        let places = ["etc", "usr"].map(|name| dir.path().join(name));
        let read = || systemd_default(&places).unwrap();
        assert_eq!(read(), SYSTEMD_DEFAULT);
        for place in &places {
            fs::create_dir_all(place.join("system.conf.d")).unwrap();
        }
        let write = |path: &str, text: &str| fs::write(dir.path().join(path), text).unwrap();
        write("usr/system.conf", "[Manager]\nDefaultLimitNOFILE=10:20\n");
        assert_eq!(read(), pair(10, 20));
        write("etc/system.conf", "[Manager]\n#DefaultLimitNOFILE=1:2\n");
        assert_eq!(read(), SYSTEMD_DEFAULT);
        write(
            "usr/system.conf.d/10-a.conf",
            "[Manager]\nDefaultLimitNOFILE = 30\n",
        );
        assert_eq!(read(), pair(30, 30));
        write(
            "etc/system.conf.d/10-a.conf",
            "[Manager]\nDefaultLimitNOFILE=40:infinity\n",
        );
        assert_eq!(read(), pair(40, u64::MAX));
        write("usr/system.conf.d/90-b.conf", "[Manager]\nDefaultLimitNOFILE=\n");
        assert_eq!(read(), SYSTEMD_DEFAULT);
    }
}
