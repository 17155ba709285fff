//! Where the items of a job come from.

use std::fmt;
use std::num::NonZeroU64;

use v6kit_base::{Code, Hint};

use crate::input::line::{Overrides, read_line};
use crate::input::list::{Cursor, List, ListError};
use crate::input::placeholders::substitute;
use crate::input::request::RequestSpec;
use crate::input::template::{Template, TemplateError};
use crate::outcome::{ErrorKind, Fault};
use crate::url::{self, Origin, UrlError};

/// What stands for an item of a list in a URL, a header or a body.
pub const PLACEHOLDER: &str = "{}";

/// All items of a job, one behind the other, found by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    kind: Kind,
    /// How often all of them come, one round after another.
    rounds: NonZeroU64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Templates {
        templates: Vec<Template>,
        /// The position behind the last one of each template.
        ends: Vec<u64>,
    },
    /// Lines that are URLs, or JSON objects with one.
    Lines(List),
    /// Lines that go into a URL, and into headers and body.
    Substituted { list: List, url: String },
}

/// Why there are no items.
#[derive(Debug, thiserror::Error)]
pub enum ItemsError {
    /// A template is not one.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The list cannot be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// The file holds another list than the one of the job.
    #[error("{} no longer holds the list of this job", path.display())]
    OtherList {
        /// The file.
        path: std::path::PathBuf,
    },
    /// None of the first lines of a list is an item.
    #[error("none of the first {lines} lines is an item: {first}")]
    NotItems {
        /// How many were looked at.
        lines: u64,
        /// What is wrong with the first of them.
        first: String,
    },
    /// The list came from where it cannot be had again.
    #[error("the list was packed or came from a pipe")]
    ListGone,
}

impl Hint for ItemsError {
    fn code(&self) -> Code {
        match self {
            Self::Template(error) => error.code(),
            Self::List(error) => error.code(),
            Self::OtherList { .. } | Self::NotItems { .. } | Self::ListGone => Code::BadList,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Template(error) => error.hint(),
            Self::List(error) => error.hint(),
            Self::NotItems { .. } => Some(
                "write one URL per line, or give the URL that the lines go into: 'https://HOST/{}'"
                    .to_owned(),
            ),
            Self::OtherList { .. } => Some("put the list back as it was when the crawl began".to_owned()),
            Self::ListGone => Some("repeat the command with the list to fetch what is left".to_owned()),
        }
    }
}

impl Items {
    /// The URLs of `templates`, in their order.
    ///
    /// # Errors
    /// [`TemplateError::TooMany`].
    pub fn templates(templates: Vec<Template>) -> Result<Self, TemplateError> {
        let mut ends = Vec::with_capacity(templates.len());
        let mut end: u64 = 0;
        for template in &templates {
            end = end
                .checked_add(template.count())
                .ok_or_else(|| TemplateError::TooMany {
                    text: template.to_string(),
                })?;
            ends.push(end);
        }
        Ok(Self::once(Kind::Templates { templates, ends }))
    }

    /// The lines of a list: URLs, or JSON objects with `url` and perhaps `method`, `headers`, `body`, `id`.
    #[must_use]
    pub fn lines(list: List) -> Self {
        Self::once(Kind::Lines(list))
    }

    /// Looks at the first lines of a list of URLs: a file given by mistake is no list of bad items.
    ///
    /// # Errors
    /// [`ItemsError::NotItems`].
    pub fn check_first_lines(&self) -> Result<(), ItemsError> {
        const ENOUGH: u64 = 5;
        const LOOKED_AT: u64 = 100;
        let Kind::Lines(list) = &self.kind else {
            return Ok(());
        };
        let lines = list.count().min(LOOKED_AT);
        let (mut cursor, mut url, mut first) = (Cursor::default(), String::new(), None);
        for position in 0..lines {
            url.clear();
            match self.item(position, &mut cursor, None, &mut url) {
                Ok(_) => return Ok(()),
                Err(fault) => first = first.or(Some(fault.message)),
            }
        }
        match first {
            Some(first) if lines >= ENOUGH => Err(ItemsError::NotItems { lines, first }),
            _ => Ok(()),
        }
    }

    /// The lines of a list, each put where `url`, the headers and the body say [`PLACEHOLDER`].
    ///
    /// # Errors
    /// [`UrlError`] when `url` is none.
    pub fn substituted(list: List, url: &str) -> Result<Self, UrlError> {
        let sample = url.replace(PLACEHOLDER, "0");
        Origin::parse(url::split(&sample)?.0)?;
        Ok(Self::once(Kind::Substituted {
            list,
            url: url.to_owned(),
        }))
    }

    fn once(kind: Kind) -> Self {
        Self {
            kind,
            rounds: NonZeroU64::MIN,
        }
    }

    /// The same items so many times, one round after another: each time at a position of its own.
    ///
    /// # Errors
    /// [`TemplateError::TooMany`].
    pub fn repeated(self, rounds: NonZeroU64) -> Result<Self, TemplateError> {
        let items = Self { rounds, ..self };
        match items.in_a_round().checked_mul(rounds.get()) {
            Some(_) => Ok(items),
            None => Err(TemplateError::TooMany {
                text: items.to_string(),
            }),
        }
    }

    /// How often each item comes.
    #[must_use]
    pub fn rounds(&self) -> NonZeroU64 {
        self.rounds
    }

    /// The number of items.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.in_a_round() * self.rounds.get()
    }

    fn in_a_round(&self) -> u64 {
        match &self.kind {
            Kind::Templates { ends, .. } => ends.last().copied().unwrap_or(0),
            Kind::Lines(list) | Kind::Substituted { list, .. } => list.count(),
        }
    }

    /// The origin of all items, where it is the same for all.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        match &self.kind {
            Kind::Templates { templates, .. } => {
                let first = templates.first()?.origin()?;
                let same = templates.iter().all(|template| template.origin() == Some(first));
                same.then(|| first.clone())
            }
            Kind::Lines(_) => None,
            Kind::Substituted { url, .. } => {
                let (origin, _) = url::split(url).ok()?;
                if origin.contains(PLACEHOLDER) {
                    None
                } else {
                    Origin::parse(origin).ok()
                }
            }
        }
    }

    /// Whether anything tells the items apart that could be put into a body.
    #[must_use]
    pub fn has_values(&self) -> bool {
        match &self.kind {
            Kind::Templates { templates, .. } => templates.iter().any(Template::has_values),
            Kind::Lines(_) => false,
            Kind::Substituted { .. } => true,
        }
    }

    /// The list, where the items come from one.
    #[must_use]
    pub fn list(&self) -> Option<&List> {
        match &self.kind {
            Kind::Templates { .. } => None,
            Kind::Lines(list) | Kind::Substituted { list, .. } => Some(list),
        }
    }

    /// Appends the URL at `position`, counted from 0, or what stands in its place when the line is bad.
    ///
    /// # Panics
    /// When `position` is not below [`Items::count`].
    pub fn write(&self, position: u64, out: &mut String) {
        // What is wrong with it does not matter here.
        let _ = self.item(position, &mut Cursor::default(), None, out);
    }

    /// Appends the URL at `position`, and tells in what its request differs from `spec`, which has
    /// places for what the item is.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`].
    pub fn item(
        &self,
        position: u64,
        cursor: &mut Cursor,
        spec: Option<&RequestSpec>,
        out: &mut String,
    ) -> Result<Overrides, Fault> {
        let position = match self.rounds {
            NonZeroU64::MIN => position,
            _ => position % self.in_a_round().max(1),
        };
        match &self.kind {
            Kind::Templates { templates, ends } => {
                let index = ends.partition_point(|&end| end <= position);
                let template = &templates[index];
                let position = position - (ends[index] - template.count());
                template.write(position, out);
                match spec {
                    Some(spec) if template.has_values() => substitute(spec, &template.values(position))
                        .map_err(|error| Fault::from_error(ErrorKind::BadItem, &error)),
                    _ => Ok(Overrides::default()),
                }
            }
            Kind::Lines(list) => {
                let (line, number) = cursor.line(list, position)?;
                read_line(line, number, out)
            }
            Kind::Substituted { list, url } => {
                let (line, number) = cursor.line(list, position)?;
                let text = url::text_of(line);
                let mut parts = url.split(PLACEHOLDER);
                out.push_str(parts.next().unwrap_or_default());
                for part in parts {
                    out.push_str(&url::encode(&text.replace('#', "%23")));
                    out.push_str(part);
                }
                let Some(spec) = spec else {
                    return Ok(Overrides::default());
                };
                substitute(spec, &[line])
                    .map_err(|why| Fault::new(ErrorKind::BadItem, format!("line {number}: {why}")))
            }
        }
    }
}

/// The templates, a line each, or the URL that lines are put into.
impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Templates { templates, .. } => {
                for (index, template) in templates.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(f, "{separator}{template}")?;
                }
                Ok(())
            }
            Kind::Lines(_) => Ok(()),
            Kind::Substituted { url, .. } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(texts: &[&str]) -> Items {
        Items::templates(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn templates_follow_each_other() {
        let items = items(&["http://a/{1..2}", "http://b/", "http://c/{x,y}"]);
        let urls: Vec<String> = (0..items.count())
            .map(|position| {
                let mut url = String::new();
                items.write(position, &mut url);
                url
            })
            .collect();
        assert_eq!(
            urls,
            [
                "http://a/1",
                "http://a/2",
                "http://b/",
                "http://c/x",
                "http://c/y"
            ]
        );
        assert_eq!(items.origin(), None);
    }

    #[test]
    fn all_items_come_again_in_each_round() {
        let rounds = |rounds| NonZeroU64::new(rounds).unwrap();
        let items = items(&["http://a/{1..2}", "http://a/x"])
            .repeated(rounds(3))
            .unwrap();
        assert_eq!(
            (items.count(), items.origin().unwrap().to_string().as_str()),
            (9, "http://a")
        );
        let url = |position| {
            let mut url = String::new();
            items.write(position, &mut url);
            url
        };
        assert_eq!(
            [0, 2, 3, 8].map(url),
            ["http://a/1", "http://a/x", "http://a/1", "http://a/x"]
        );
        assert!(matches!(
            items.repeated(rounds(u64::MAX)),
            Err(TemplateError::TooMany { .. })
        ));
    }

    #[test]
    fn templates_of_one_site_have_its_origin() {
        assert_eq!(
            items(&["http://a/{1..2}", "http://A:80/x/{1..2}"])
                .origin()
                .unwrap()
                .to_string(),
            "http://a"
        );
    }
}
