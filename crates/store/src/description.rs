//! What tells one job from another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use v6kit_model::Order;
use v6kit_model::input::{
    Items, ItemsError, LIST_COPY, List, ListSource, NOT_STORED, Template, TemplateError, is_secret_header,
};

use crate::storage::{Content, Format};

/// The identity of a job, as its directory remembers it: named values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description(BTreeMap<String, String>);

/// One value in which two jobs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name of the value, which is also that of the option.
    pub name: String,
    /// What the directory holds.
    pub stored: String,
    /// What was asked for now.
    pub asked: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and URLs are a line each: those that are the same are left out.
        let (stored, asked) = (asked_for(&self.stored), asked_for(&self.asked));
        if stored.len() < 2 && asked.len() < 2 {
            return write!(
                f,
                "{} was `{}` and is `{}` now",
                self.name, self.stored, self.asked
            );
        }
        let only = |these: &[&str], those: &[&str]| {
            let only = these.iter().filter(|line| !those.contains(line)).copied();
            only.collect::<Vec<_>>().join(", ")
        };
        match (only(&stored, &asked), only(&asked, &stored)) {
            (gone, new) if gone.is_empty() && new.is_empty() => {
                write!(f, "{} are in another order now", self.name)
            }
            (gone, new) if gone.is_empty() => write!(f, "{}: `{new}` is new", self.name),
            (gone, new) if new.is_empty() => write!(f, "{}: `{gone}` is gone", self.name),
            (gone, new) => write!(f, "{}: `{gone}` was there, and `{new}` is now", self.name),
        }
    }
}

/// A value without the name under which v6kit asks where the user gave none: it holds the version, which is no part of
/// what is asked for.
fn asked_for(value: &str) -> Vec<&str> {
    const OWN_NAME: &str = "user-agent: v6kit/";
    let is_own = |line: &&str| {
        line.get(..OWN_NAME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(OWN_NAME))
    };
    value.lines().filter(|line| !is_own(line)).collect()
}

/// Header lines without the values of those that prove who asks: an older v6kit knew fewer of these, and stored the
/// others.
fn without_secrets(lines: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((name, _)) if is_secret_header(name) => format!("{name}: {NOT_STORED}"),
        _ => line.to_owned(),
    };
    lines.lines().map(line).collect::<Vec<_>>().join("\n")
}

impl Description {
    /// The name of the value that says which list it is.
    pub const LIST: &str = "list";

    /// The name of the value that says where a list lies. The same list may lie elsewhere the next time.
    pub const LIST_FILE: &str = "list-file";

    /// The name of the value that says whether placeholders in the body are filled. It is there where the body holds
    /// some, but for jobs of earlier releases, which filled them always.
    pub const FILL: &str = "fill";

    /// The name of the value that says how often each item is fetched; `none` for once.
    pub const REPEAT: &str = "repeat";

    /// What may be another when a job goes on: where the list lies, and how many redirects are followed, since whoever
    /// meets redirects adds them then.
    const MAY_CHANGE: [&str; 2] = [Self::LIST_FILE, "redirects"];

    /// A description with these values.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// The values in which `asked` differs from this one.
    #[must_use]
    pub fn differences(&self, asked: &Self) -> Vec<Difference> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(asked.0.keys()).collect();
        let value = |of: &Self, name: &String| match of.0.get(name) {
            Some(lines) if name == "headers" => without_secrets(lines),
            Some(value) => value.clone(),
            None => "none".to_owned(),
        };
        names
            .into_iter()
            .map(|name| Difference {
                name: name.clone(),
                stored: value(self, name),
                asked: value(asked, name),
            })
            .filter(|difference| difference.name != Self::FILL || self.get(Self::FILL).is_some())
            .filter(|difference| !Self::MAY_CHANGE.contains(&difference.name.as_str()))
            .filter(|difference| asked_for(&difference.stored) != asked_for(&difference.asked))
            .collect()
    }

    /// The values in which `asked` differs from this one, but for the list, which may have grown.
    #[must_use]
    pub fn differences_but_list(&self, asked: &Self) -> Vec<Difference> {
        let mut differences = self.differences(asked);
        differences.retain(|difference| difference.name != Self::LIST);
        differences
    }

    /// The form of the segments.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::ALL
            .into_iter()
            .find(|format| self.get("format") == Some(format.as_str()))
            .unwrap_or_default()
    }

    /// Whether anything is kept of what is fetched.
    #[must_use]
    pub fn keeps_records(&self) -> bool {
        self.get("store") != Some(Content::Nothing.to_string().as_str())
    }

    /// The order of visiting.
    #[must_use]
    pub fn order(&self) -> Order {
        self.get("order")
            .and_then(|order| order.strip_prefix("shuffle ")?.parse().ok())
            .map_or(Order::Sequential, |seed| Order::Shuffle { seed })
    }

    /// The items of the job in `directory`.
    ///
    /// # Errors
    /// [`ItemsError`], such as when the list is gone, or is another one than at the start.
    pub fn items(&self, directory: &Path) -> Result<Items, ItemsError> {
        let items = self.items_of_a_round(directory)?;
        let rounds = self.get(Self::REPEAT).and_then(|rounds| rounds.parse().ok());
        Ok(match rounds {
            Some(rounds) => items.repeated(rounds)?,
            None => items,
        })
    }

    fn items_of_a_round(&self, directory: &Path) -> Result<Items, ItemsError> {
        if let Some(identity) = self.get("list").filter(|list| *list != "none") {
            let list = self.list(directory, identity)?;
            return match self.get("url").unwrap_or_default() {
                "" => Ok(Items::lines(list)),
                url => Items::substituted(list, url).map_err(|error| TemplateError::from(error).into()),
            };
        }
        let templates: Result<Vec<Template>, _> = self
            .get("url")
            .unwrap_or_default()
            .lines()
            .map(str::parse)
            .collect();
        Ok(Items::templates(templates?)?)
    }

    /// The list that is known by `identity`: the copy in `directory`, or where there is none, the file itself.
    fn list(&self, directory: &Path, identity: &str) -> Result<List, ItemsError> {
        // Unpacked where anybody may write: reading a job takes no right to write to it.
        let open = |path: &Path| List::open(&ListSource::File(path.to_owned()), &std::env::temp_dir());
        if let Ok(list) = open(&directory.join(LIST_COPY))
            && list.identity() == identity
        {
            return Ok(list);
        }
        let path = self.get(Self::LIST_FILE).filter(|path| !path.is_empty());
        let path = Path::new(path.ok_or(ItemsError::ListGone)?);
        let list = open(path)?;
        if list.identity() == identity {
            Ok(list)
        } else {
            let path = path.to_owned();
            Err(ItemsError::OtherList { path })
        }
    }

    /// The file that the list came from, where it holds another list by now.
    #[must_use]
    pub fn changed_list(&self) -> Option<PathBuf> {
        let path = PathBuf::from(self.get(Self::LIST_FILE).filter(|path| !path.is_empty())?);
        let list = List::open(&ListSource::File(path.clone()), &std::env::temp_dir()).ok()?;
        (Some(list.identity().as_str()) != self.get("list")).then_some(path)
    }

    /// Whether the job fills placeholders in its body; `None` where the body holds none, or an earlier release, which
    /// filled them always, began the job.
    #[must_use]
    pub fn fills_body(&self) -> Option<bool> {
        self.get(Self::FILL).map(|fill| fill == "yes")
    }

    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(headers: &str) -> Description {
        Description::new([
            ("headers".to_owned(), headers.to_owned()),
            ("redirects".to_owned(), "0".to_owned()),
        ])
    }

    #[test]
    fn only_what_differs_of_several_headers_is_shown() {
        let shown =
            |first: &str, second: &str| described(first).differences(&described(second))[0].to_string();
        assert_eq!(
            shown("accept: */*\na: 1", "accept: */*\na: 1\nx-team: seven"),
            "headers: `x-team: seven` is new"
        );
        assert_eq!(
            shown("accept: */*\na: 1", "accept: */*"),
            "headers: `a: 1` is gone"
        );
        assert_eq!(
            shown("b: 1\na: 1", "b: 1\na: 2"),
            "headers: `a: 1` was there, and `a: 2` is now"
        );
        assert_eq!(shown("a: 1", "a: 2"), "headers was `a: 1` and is `a: 2` now");
    }

    #[test]
    fn a_job_goes_on_with_another_version_of_v6kit_and_not_with_another_agent_of_the_user() {
        let of = |first: &str, second: &str| described(first).differences(&described(second)).len();
        assert_eq!(
            of(
                "user-agent: v6kit/0.1.0 (+x)\naccept: */*",
                "User-Agent: v6kit/0.2.0 (+y)\naccept: */*"
            ),
            0
        );
        assert_eq!(of("user-agent: mine/1", "user-agent: mine/2"), 1);
        assert_eq!(of("user-agent: v6kit/0.1.0", "user-agent: mine/2"), 1);
    }

    #[test]
    fn a_job_goes_on_whose_token_an_older_version_stored_and_the_token_is_not_told() {
        let old = described("accept: */*\nx-vault-token: s3cret");
        assert_eq!(
            old.differences(&described("accept: */*\nx-vault-token: (not stored)")),
            []
        );
        let told = old.differences(&described("accept: */*"))[0].to_string();
        assert_eq!(told, "headers: `x-vault-token: (not stored)` is gone");
    }
}
