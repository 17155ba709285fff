//! The file of the wish: entries put in and taken out without touching anything else that stands there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat, geteuid};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};
use v6kit_net::Prefix;

use super::{BootError, ENTRIES, ON_DRIFT, Wish};

const HEADER: &str = "\
# What this host shall be, read by `v6kit setup --config`, at boot by v6kit-setup.service.
# Written by `v6kit setup --persist`; `v6kit teardown --persist` removes it. Keys are the long options of
# `v6kit setup`; what stands above the first [[setup]] goes for all of them.
";

/// The text of a file; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, BootError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BootError::read(path)(source)),
    }
}

/// Fails where the file cannot be replaced, as on a read-only file system; changes nothing. A plain user who asks what
/// root would do is not refused.
pub(super) fn check(path: &Path) -> Result<(), BootError> {
    let directory = path.ancestors().skip(1).find(|part| part.exists());
    let directory = directory.unwrap_or(Path::new("/"));
    let refused = faccessat(
        AT_FDCWD,
        directory,
        AccessFlags::W_OK | AccessFlags::X_OK,
        AtFlags::AT_EACCESS,
    );
    match refused {
        Err(Errno::EACCES) if !geteuid().is_root() => Ok(()),
        refused => refused.map_err(|errno| BootError::write(path)(errno.into())),
    }
}

/// Replaces a file in one step, readable by all. Makes its directory where that is missing.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), BootError> {
    let write = || {
        let directory = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory)?;
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = Path::new(&new);
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(new)?;
        // The umask of whoever runs setup does not decide who may read it.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(new, path)) {
            // What was there stays; the unfinished copy goes.
            let _ = fs::remove_file(new);
            return Err(error);
        }
        File::open(directory)?.sync_all()
    };
    write().map_err(BootError::write(path))
}

/// Removes a file and what a killed run left beside it. Says whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool, BootError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let remove = |path: &Path| match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(BootError::write(path)(error)),
    };
    remove(Path::new(&new))?;
    remove(path)
}

fn parse(text: &str) -> Result<DocumentMut, BootError> {
    text.parse()
        .map_err(|error: toml_edit::TomlError| BootError::NotToml {
            message: error.to_string().trim().replace('\n', "; "),
        })
}

fn entries(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, BootError> {
    document
        .entry(ENTRIES)
        .or_insert(Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or(BootError::NotTables)
}

fn is_of(table: &Table, prefix: Prefix) -> bool {
    let text = |key| table.get(key).and_then(Item::as_str);
    match text("prefix") {
        Some(text) => text.parse() == Ok(prefix),
        // A server needs none.
        None => prefix.is_this_host() && text("for") == Some("server"),
    }
}

/// Sets a key, and leaves what the user wrote around it.
fn put(document: &mut DocumentMut, key: &str, item: &Item) {
    let there = document.get_mut(key).and_then(Item::as_value_mut);
    match (there, item.as_value()) {
        (Some(there), Some(value)) => {
            let decor = there.decor().clone();
            *there = value.clone();
            *there.decor_mut() = decor;
        }
        _ => {
            document.insert(key, item.clone());
        }
    }
}

/// `text` with the wish in it, and what an entry of the same prefix said before.
pub(super) fn with(text: Option<&str>, wish: &Wish) -> Result<(String, Option<String>), BootError> {
    let mut document = parse(text.unwrap_or(HEADER))?;
    if text.is_none() {
        // A document of nothing but a comment keeps it at its end.
        document.set_trailing("");
        document.decor_mut().set_prefix("");
    }
    if let Some(on_drift) = &wish.on_drift {
        put(&mut document, ON_DRIFT, &toml_edit::value(on_drift));
    }
    let mut replaced = None;
    if document.contains_key("prefix") && is_of(document.as_table(), wish.prefix) {
        // The short form: one prefix, without a table of its own.
        for (key, item) in &wish.entry {
            put(&mut document, key, item);
        }
    } else {
        let entries = entries(&mut document)?;
        let known = entries.iter().position(|table| is_of(table, wish.prefix));
        if let Some(table) = known.and_then(|index| entries.get_mut(index)) {
            let before = table.to_string();
            let position = table.position();
            let decor = table.decor().clone();
            *table = wish.entry.clone();
            table.set_position(position);
            *table.decor_mut() = decor;
            replaced = (before != table.to_string()).then(|| before.trim().replace('\n', ", "));
        } else {
            entries.push(wish.entry.clone());
        }
    }
    let mut text_now = document.to_string();
    if text.is_none() {
        text_now.insert_str(0, HEADER);
    }
    Ok((text_now, replaced))
}

/// `text` without the entries of `prefixes`; `None` when nothing that matters is left.
pub(super) fn without(text: &str, prefixes: &[Prefix]) -> Result<Option<String>, BootError> {
    let mut document = parse(text)?;
    let entries = entries(&mut document)?;
    entries.retain(|table| !prefixes.iter().any(|prefix| is_of(table, *prefix)));
    let is_empty = entries.is_empty();
    if is_empty {
        document.remove(ENTRIES);
    }
    let has_own_keys = document.iter().any(|(key, _)| key != ON_DRIFT && key != ENTRIES);
    let is_ours = text.starts_with(HEADER);
    if is_empty && !has_own_keys && is_ours {
        return Ok(None);
    }
    Ok(Some(document.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(prefix: &str, device: &str) -> Wish {
        let mut entry = Table::new();
        entry.insert("prefix", toml_edit::value(prefix));
        entry.insert("dev", toml_edit::value(device));
        Wish {
            prefix: prefix.parse().unwrap(),
            entry,
            on_drift: None,
        }
    }

    #[test]
    fn comments_around_a_key_outlive_its_value() {
        let text = "# of ours\non-drift = \"report\" # for now\n\n# the uplink\nprefix = \"2001:db8:1::/64\"\ndev = \"eth0\" # copper\n";
        let wish = Wish {
            on_drift: Some("repair".to_owned()),
            ..wish("2001:db8:1::/64", "eth1")
        };
        let (now, _) = with(Some(text), &wish).unwrap();
        assert_eq!(now, text.replace("report", "repair").replace("eth0", "eth1"));
    }

    #[test]
    fn entries_come_and_go_one_by_one() {
        let (one, replaced) = with(None, &wish("2001:db8:1::/64", "eth0")).unwrap();
        assert_eq!(replaced, None);
        assert!(
            one.starts_with(HEADER)
                && one.ends_with("[[setup]]\nprefix = \"2001:db8:1::/64\"\ndev = \"eth0\"\n"),
            "{one}"
        );
        let (two, _) = with(Some(&one), &wish("2001:db8:2::/64", "eth1")).unwrap();
        let (again, replaced) = with(Some(&two), &wish("2001:db8:2::/64", "eth1")).unwrap();
        assert_eq!((&again, replaced), (&two, None));
        let (other, replaced) = with(Some(&two), &wish("2001:db8:2::/64", "eth9")).unwrap();
        assert!(replaced.unwrap().contains("eth1"));
        assert!(other.contains("eth9") && !other.contains("eth1"), "{other}");
        let two_prefixes = ["2001:db8:1::/64", "2001:db8:2::/64"].map(|text| text.parse().unwrap());
        let left = without(&two, &two_prefixes[1..]).unwrap().unwrap();
        assert_eq!(left, one);
        assert_eq!(without(&two, &two_prefixes).unwrap(), None);
    }

    #[test]
    fn a_server_without_a_prefix_has_one_entry_among_those_of_prefixes() {
        let mut server = wish("2001:db8:1::/64", "eth0");
        server.prefix = Prefix::THIS_HOST;
        server.entry = Table::new();
        server.entry.insert("for", toml_edit::value("server"));
        let (before, _) = with(None, &wish("2001:db8:1::/64", "eth0")).unwrap();
        let (both, _) = with(Some(&before), &server).unwrap();
        assert!(both.ends_with("[[setup]]\nfor = \"server\"\n"), "{both}");
        let (again, replaced) = with(Some(&both), &server).unwrap();
        assert_eq!((&again, replaced), (&both, None));
        let left = without(&both, &[Prefix::THIS_HOST]).unwrap();
        assert_eq!(left, Some(before));
    }

    #[test]
    fn what_others_wrote_stays() {
        let text = "# mine\nnofile = 100000\n\n[[setup]] # the lab\nprefix = \"2001:db8:9::/64\"\ndev = \"lab0\" # slow\n";
        let (both, _) = with(Some(text), &wish("2001:db8:1::/64", "eth0")).unwrap();
        assert!(both.starts_with(text), "{both}");
        let left = without(&both, &["2001:db8:1::/64".parse().unwrap()]).unwrap();
        assert_eq!(left.as_deref(), Some(text));
    }

    #[test]
    fn what_is_no_toml_is_refused() {
        assert!(matches!(
            with(Some("setup = ["), &wish("2001:db8::/64", "e")),
            Err(BootError::NotToml { .. })
        ));
        assert!(matches!(
            with(Some("setup = 1"), &wish("2001:db8::/64", "e")),
            Err(BootError::NotTables)
        ));
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_removed_with_what_a_kill_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/host.toml");
        replace(&path, "one\n").unwrap();
        fs::write(dir.path().join("a/host.toml.new"), "cut o").unwrap();
        replace(&path, "two\n").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two\n"));
        fs::write(dir.path().join("a/host.toml.new"), "cut o").unwrap();
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
    }
}
