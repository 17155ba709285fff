//! Header maps as HTTP/1.1 writes them.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, HeaderName};
use v6kit_http1::{Block, RequestError};
use v6kit_model::input::Spelling;
use v6kit_model::{ErrorKind, Fault};

/// All fields but Host, as they were typed or else in the usual spelling.
///
/// # Errors
/// [`ErrorKind::BadItem`] for a field that cannot be written.
pub(crate) fn block(headers: &HeaderMap, spelling: &Spelling) -> Result<Block, Fault> {
    let mut block = Block::new();
    for (name, value) in headers {
        if name != HOST {
            let spelled = spelling
                .of(name)
                .map_or_else(|| usual(name).into(), Cow::Borrowed);
            block
                .push(&spelled, value.as_bytes())
                .map_err(|error: RequestError| Fault::from_error(ErrorKind::BadItem, &error))?;
        }
    }
    Ok(block)
}

/// `content-type` as `Content-Type`: there are servers that know no other.
fn usual(name: &HeaderName) -> String {
    let mut at_start = true;
    let spell = |letter: char| {
        let spelled = if at_start {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        at_start = letter == '-';
        spelled
    };
    name.as_str().chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_everybody_does() {
        for (name, spelled) in [
            ("content-type", "Content-Type"),
            ("x-a--b", "X-A--B"),
            ("te", "Te"),
        ] {
            assert_eq!(usual(&HeaderName::from_static(name)), spelled);
        }
    }
}
