//! JSON that every reader of records takes.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_64;

/// Arrays and objects within each other. DuckDB reads 128, jq 256, and a record is one of them.
const DEPTH: u8 = 100;

/// Whether `text` is one JSON document within the bounds of RFC 7493: UTF-8 without half a surrogate pair, numbers
/// that a double holds, no name twice in an object; and nested no deeper than the readers follow.
pub fn is_portable(text: &[u8]) -> bool {
    // Once for all of it: else each string is checked by itself.
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let mut document = serde_json::Deserializer::from_str(text);
    Portable { depth: DEPTH }.deserialize(&mut document).is_ok() && document.end().is_ok()
}

/// Reads a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Portable {
    /// How many levels may follow.
    depth: u8,
}

impl Portable {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Portable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Portable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while elements.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut names = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            if !names.insert(name) {
                return Err(Error::custom("a name stands twice in an object"));
            }
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// The hash of a name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<u64, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<u64, E> {
        Ok(xxh3_64(name.as_bytes()))
    }
}

/// Hashes of the names of an object: on the stack for all but the largest.
#[derive(Default)]
struct Names {
    few: [u64; 16],
    len: usize,
    many: Option<HashSet<u64>>,
}

impl Names {
    fn insert(&mut self, name: u64) -> bool {
        if self.few[..self.len].contains(&name) {
            return false;
        }
        if let Some(place) = self.few.get_mut(self.len) {
            *place = name;
            self.len += 1;
            return true;
        }
        self.many.get_or_insert_default().insert(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_reader_takes_is_portable() {
        for text in [
            "null",
            " {} ",
            "12e3",
            r#"{"a":{"a":[1,-0.5,true,"\ud83d\ude00"]},"A":1}"#,
            r#"{"big":123456789012345678901234567890}"#,
            r#""\u0000\uffff""#,
        ] {
            assert!(is_portable(text.as_bytes()), "{text}");
        }
        assert!(is_portable(
            format!("{}{}", "[".repeat(100), "]".repeat(100)).as_bytes()
        ));
        let many: Vec<_> = (0..100).map(|n| format!("\"n{n}\":{n}")).collect();
        assert!(is_portable(format!("{{{}}}", many.join(",")).as_bytes()));
    }

    #[test]
    fn what_a_reader_refuses_is_not() {
        for text in [
            r#""\ud83d""#,
            r#"{"\udc00":1}"#,
            r#"["\ud83d\u0041"]"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            "1e999",
            "[-1e400]",
            "",
            "{",
            "[1,]",
            "{} {}",
            "NaN",
            "01",
        ] {
            assert!(!is_portable(text.as_bytes()), "{text}");
        }
        assert!(!is_portable(b"\"\xff\""));
        assert!(!is_portable(
            format!("{}{}", "[".repeat(101), "]".repeat(101)).as_bytes()
        ));
        assert!(
            !is_portable("[{\"a\":".repeat(100_000).as_bytes()),
            "no stack is used up"
        );
        let twice: Vec<_> = (0..100).map(|n| format!("\"n{}\":{n}", n % 90)).collect();
        assert!(!is_portable(format!("{{{}}}", twice.join(",")).as_bytes()));
    }
}
