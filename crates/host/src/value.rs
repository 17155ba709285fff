//! What is found on the host, or absent.

use serde::{Deserialize, Serialize};

/// The text of a sysctl, a file, a route or a table; or that there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Value(Option<String>);

impl Value {
    pub(crate) const ABSENT: Self = Self(None);

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(Some(text.into()))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}
