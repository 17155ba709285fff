//! Where the items of a job come from.

use std::fmt;

use crate::template::{Template, TemplateError};
use crate::url::Origin;

/// All items of a job, one behind the other, found by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    templates: Vec<Template>,
    /// The position behind the last one of each template.
    ends: Vec<u64>,
}

impl Work {
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
        Ok(Self { templates, ends })
    }

    /// The number of items.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The origin of all items, where it is the same for all.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        let first = self.templates.first()?.origin()?;
        self.templates
            .iter()
            .all(|template| template.origin() == Some(first))
            .then_some(first)
    }

    /// Appends the URL at `position`, counted from 0.
    ///
    /// # Panics
    /// When `position` is not below [`Work::count`].
    pub fn write(&self, position: u64, out: &mut String) {
        let index = self.ends.partition_point(|&end| end <= position);
        let template = &self.templates[index];
        template.write(position - (self.ends[index] - template.count()), out);
    }
}

/// The templates, a line each: none of them holds a line break.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, template) in self.templates.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{template}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(texts: &[&str]) -> Work {
        Work::templates(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn templates_follow_each_other() {
        let work = work(&["http://a/{1..2}", "http://b/", "http://c/{x,y}"]);
        let urls: Vec<String> = (0..work.count())
            .map(|position| {
                let mut url = String::new();
                work.write(position, &mut url);
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
        assert_eq!(work.origin(), None);
    }

    #[test]
    fn templates_of_one_site_have_its_origin() {
        assert_eq!(
            work(&["http://a/{1..2}", "http://A:80/x/{1..2}"])
                .origin()
                .unwrap()
                .to_string(),
            "http://a"
        );
    }
}
