//! Options of a subcommand as data: said on the command line, read from a TOML file, or written to one.
//!
//! A key of a file is the long name of an option, or for a positional argument its name in the help in
//! lower case. Keys, values and conflicts are clap's own, so that file and command line cannot drift apart.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use toml_edit::{Array, Document, DocumentMut, Item, Table, Value};

use crate::failure::{Exit, Failure};
use crate::remote;

/// How alike an unknown key and a known one must be for the one to be taken for the other: as in clap.
const ALIKE: f64 = 0.7;

/// What was said about the options of one subcommand, in the order of its help.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    said: Vec<Said>,
}

#[derive(Debug, Clone)]
struct Said {
    key: String,
    what: What,
    /// The line of the file, counted from 1.
    line: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A switch, so many times.
    Times(usize),
    /// The values of an option.
    Values(Vec<String>),
}

/// The key of an argument in a file; `None` for help and version.
pub(crate) fn key(arg: &Arg) -> Option<String> {
    if matches!(arg.get_id().as_str(), "help" | "version") {
        return None;
    }
    arg.get_long().map(ToOwned::to_owned).or_else(|| {
        let name = arg.get_value_names()?.first()?;
        Some(name.to_lowercase())
    })
}

fn argument<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| key(arg).as_deref() == Some(name))
}

/// Whether an argument holds more than one value.
fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Append)
}

impl Options {
    /// What was said on a command line, `matches` being of `command`.
    pub(crate) fn said(command: &Command, matches: &ArgMatches) -> Self {
        let said = command.get_arguments().filter_map(|arg| {
            let id = arg.get_id().as_str();
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                return None;
            }
            let what = if arg.get_action().takes_values() {
                let values = matches.get_raw(id)?;
                What::Values(values.map(|value| value.to_string_lossy().into_owned()).collect())
            } else if matches!(arg.get_action(), clap::ArgAction::Count) {
                What::Times(matches.get_count(id).into())
            } else {
                What::Times(1)
            };
            Some(Said {
                key: key(arg)?,
                what,
                line: None,
            })
        });
        Self { said: said.collect() }
    }

    /// Without the options of these keys.
    pub(crate) fn without(mut self, keys: &[&str]) -> Self {
        self.said.retain(|said| !keys.contains(&said.key.as_str()));
        self
    }

    /// The values of the option with this key.
    pub(crate) fn values(&self, key: &str) -> Option<&[String]> {
        let said = self.said.iter().find(|said| said.key == key)?;
        match &said.what {
            What::Values(values) => Some(values),
            What::Times(_) => None,
        }
    }

    /// From now on the option with this key has these values.
    pub(crate) fn say(&mut self, key: &str, values: Vec<String>) {
        self.said.retain(|said| said.key != key);
        self.said.push(Said {
            key: key.to_owned(),
            what: What::Values(values),
            line: None,
        });
    }

    /// Replaces every value.
    pub(crate) fn map_values(&mut self, mut change: impl FnMut(&str, &str) -> String) {
        for said in &mut self.said {
            if let What::Values(values) = &mut said.what {
                values
                    .iter_mut()
                    .for_each(|value| *value = change(&said.key, value));
            }
        }
    }

    /// These, and of `weaker` what they neither say nor exclude.
    pub(crate) fn over(self, weaker: Self, command: &Command) -> Self {
        let excluded = |key: &str| {
            self.said.iter().any(|stronger| {
                stronger.key == key
                    || conflicts(command, &stronger.key, key)
                    || conflicts(command, key, &stronger.key)
            })
        };
        let mut said = weaker.said;
        said.retain(|weak| !excluded(&weak.key));
        said.extend(self.said);
        let order: BTreeMap<String, usize> = command
            .get_arguments()
            .filter_map(key)
            .enumerate()
            .map(|(index, key)| (key, index))
            .collect();
        said.sort_by_key(|said| order.get(&said.key).copied());
        Self { said }
    }

    /// The words that say the same on a command line.
    pub(crate) fn words(&self, command: &Command) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut positional = Vec::new();
        for Said { key, what, .. } in &self.said {
            let is_positional = argument(command, key).is_some_and(Arg::is_positional);
            match what {
                What::Times(times) => words.extend((0..*times).map(|_| format!("--{key}").into())),
                What::Values(values) if is_positional => positional.extend(values.iter().map(OsString::from)),
                What::Values(values) => {
                    words.extend(values.iter().map(|value| format!("--{key}={value}").into()));
                }
            }
        }
        if !positional.is_empty() {
            words.push("--".into());
            words.append(&mut positional);
        }
        words
    }

    /// A TOML table that says the same.
    pub(crate) fn table(&self, command: &Command) -> Table {
        let mut table = Table::new();
        for Said { key, what, .. } in &self.said {
            let arg = argument(command, key);
            let value = match what {
                What::Times(1)
                    if !arg.is_some_and(|arg| matches!(arg.get_action(), clap::ArgAction::Count)) =>
                {
                    Value::from(true)
                }
                What::Times(times) => Value::from(i64::try_from(*times).unwrap_or(i64::MAX)),
                What::Values(values) if arg.is_some_and(is_list) => {
                    Value::Array(values.iter().map(|value| scalar(value)).collect::<Array>())
                }
                What::Values(values) => scalar(values.last().map_or("", String::as_str)),
            };
            table.insert(key, Item::Value(value));
        }
        table
    }

    /// Names the line of `file` in a failure about a value that came from it.
    pub(crate) fn located(&self, failure: Failure, file: &Path, command: &Command) -> Failure {
        let about = |said: &&Said| {
            let shown = argument(command, &said.key)
                .map(ToString::to_string)
                .unwrap_or_default();
            let name = shown.split(' ').next().unwrap_or_default();
            failure.what.ends_with(&format!("for {name}"))
        };
        match self.said.iter().find(about).and_then(|said| said.line) {
            Some(line) => Failure {
                what: format!("line {line} of {}: {}", file.display(), failure.what),
                ..failure
            },
            None => failure,
        }
    }

    /// Leaves out the values, with their keys, for which `keep` does not hold.
    pub(crate) fn retain_values(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        for said in &mut self.said {
            if let What::Values(values) = &mut said.what {
                values.retain(|value| keep(&said.key, value));
            }
        }
        self.said.retain(|said| said.what != What::Values(Vec::new()));
    }
}

fn conflicts(command: &Command, one: &str, other: &str) -> bool {
    argument(command, one).is_some_and(|arg| {
        command
            .get_arg_conflicts_with(arg)
            .into_iter()
            .any(|conflicting| key(conflicting).as_deref() == Some(other))
    })
}

/// A number where it reads the same as one, text otherwise.
fn scalar(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => number.into(),
        _ => text.into(),
    }
}

/// A TOML file of options.
#[derive(Debug)]
pub(crate) struct OptionFile {
    path: PathBuf,
    document: Document<String>,
}

impl OptionFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "check the name",
                std::io::ErrorKind::PermissionDenied => "run it as a user who may read the file",
                _ => "give a TOML file: lines such as rate = \"20/s\"",
            };
            Failure::new(Exit::Usage, format!("{} cannot be read", path.display()))
                .why(error.to_string())
                .hint(hint)
        })?;
        Self::parse(path, text)
    }

    /// The same of a file that lies behind a URL.
    pub(crate) fn fetch(url: &str) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        crate::runtime::block_on(remote::fetch(
            "the job file",
            url,
            remote::LARGEST_JOB_FILE,
            &mut bytes,
        ))?;
        let shown = remote::shown(url);
        let text = String::from_utf8(bytes).map_err(|error| {
            Failure::new(Exit::Usage, format!("{shown} is not TOML")).why(error.to_string())
        })?;
        Self::parse(Path::new(&shown), text)
    }

    fn parse(path: &Path, text: String) -> Result<Self, Failure> {
        let document = Document::parse(text.clone()).map_err(|error| {
            let place = error.span().map(|span| line_of(&text, span)).unwrap_or(1);
            Failure::new(Exit::Usage, format!("{} is not TOML", path.display()))
                .why(format!("line {place}: {}", error.message().replace('\n', "; ")))
                .hint("a line is a key, an equals sign and a value: rate = \"20/s\", retries = 5, insecure = true")
        })?;
        Ok(Self {
            path: path.to_owned(),
            document,
        })
    }

    /// What stands in it.
    pub(crate) fn table(&self) -> &Table {
        self.document.as_table()
    }

    /// What `table` of this file says about the options of `command`, but for the keys in `apart`.
    pub(crate) fn options(
        &self,
        table: &Table,
        command: &Command,
        apart: &[&str],
    ) -> Result<Options, Failure> {
        let mut said = Vec::new();
        for (name, item) in table {
            if apart.contains(&name) {
                continue;
            }
            let span = table.key(name).and_then(toml_edit::Key::span);
            let line = span.map(|span| line_of(self.document.raw(), span));
            let arg = argument(command, name)
                .filter(|_| !FILE_OPTIONS.contains(&name))
                .ok_or_else(|| self.unknown(name, line, command, apart))?;
            let what = what(arg, item).map_err(|(why, hint)| self.wrong(name, line, &why, &hint))?;
            said.push(Said {
                key: name.to_owned(),
                what,
                line,
            });
        }
        Ok(Options { said })
    }

    fn unknown(&self, name: &str, line: Option<usize>, command: &Command, apart: &[&str]) -> Failure {
        let known: Vec<String> = command
            .get_arguments()
            .filter_map(key)
            .chain(apart.iter().map(|key| (*key).to_owned()))
            .filter(|key| !FILE_OPTIONS.contains(&key.as_str()) || apart.contains(&key.as_str()))
            .collect();
        let nearest = known
            .iter()
            .map(|key| (strsim::jaro_winkler(name, key), key))
            .filter(|(alike, _)| *alike > ALIKE)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        let hint = match nearest {
            Some((_, key)) => format!("did you mean `{key}`?"),
            None => format!("the keys are: {}", known.join(", ")),
        };
        self.failure(line, format!("`{name}` is not a key")).hint(hint)
    }

    /// A value that a key does not take.
    fn wrong(&self, name: &str, line: Option<usize>, why: &str, hint: &str) -> Failure {
        self.failure(line, format!("`{name}` {why}")).hint(hint)
    }

    fn failure(&self, line: Option<usize>, why: String) -> Failure {
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        Failure::new(Exit::Usage, format!("{} cannot be used", self.path.display()))
            .why(format!("{place}{why}"))
    }
}

/// Options that name a file of options, or write one: no file says them.
const FILE_OPTIONS: [&str; 6] = ["job", "print-job", "config", "persist", "on-drift", "dry-run"];

fn what(arg: &Arg, item: &Item) -> Result<What, (String, String)> {
    let example = |text: &str| format!("write {} = {text}", key(arg).unwrap_or_default());
    let value = item
        .as_value()
        .ok_or_else(|| ("is a table".to_owned(), example("\"…\"")))?;
    match arg.get_action() {
        clap::ArgAction::Count => match value.as_integer().map(usize::try_from) {
            Some(Ok(times)) if times < 256 => Ok(What::Times(times)),
            _ => Err(("takes a number".to_owned(), example("1"))),
        },
        action if !action.takes_values() => match value.as_bool() {
            Some(is_said) => Ok(What::Times(is_said.into())),
            None => Err(("is either true or false".to_owned(), example("true"))),
        },
        _ => match value {
            Value::Array(array) if is_list(arg) => array
                .iter()
                .map(text)
                .collect::<Option<_>>()
                .map(What::Values)
                .ok_or_else(|| ("takes a list of texts".to_owned(), example("[\"…\", \"…\"]"))),
            Value::Array(_) => Err(("takes one value".to_owned(), example("\"…\""))),
            value => text(value)
                .map(|text| What::Values(vec![text]))
                .ok_or_else(|| ("takes a text or a number".to_owned(), example("\"…\""))),
        },
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(number) => Some(number.value().to_string()),
        _ => None,
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text
        .bytes()
        .take(span.start)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// `table` as the text of a file that begins with `header`.
pub(crate) fn file_text(header: &str, table: Table) -> String {
    let mut document = DocumentMut::from(table);
    document.decor_mut().set_prefix("");
    format!("{header}\n{document}")
}
