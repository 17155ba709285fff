//! Where the fields of a head stand.

/// Fields whose places are remembered.
const INDEXED: usize = 16;

/// Where the first fields stand, and which names are not among all of them: a bit for each length and first letter. So
/// most fields that are looked for cost no look at the lines, whether they are there or not.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Index {
    names: u64,
    places: [Place; INDEXED],
    count: u8,
    /// There are fields whose places are not known.
    has_others: bool,
}

/// Where the name of a field stands.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    /// In bytes from the beginning of the text.
    start: u16,
    length: u8,
    /// Its first letter, in lower case.
    first: u8,
}

impl Index {
    /// Takes in the next field, whose name stands at `start`.
    pub(crate) fn add(&mut self, start: usize, name: &[u8]) {
        let first = first_letter(name);
        self.names |= Self::bit(name.len(), first);
        let place = u16::try_from(start).ok().zip(u8::try_from(name.len()).ok());
        match (place, self.places.get_mut(usize::from(self.count))) {
            (Some((start, length)), Some(free)) => {
                *free = Place { start, length, first };
                self.count += 1;
            }
            _ => self.has_others = true,
        }
    }

    /// Whether there may be a field of that name.
    pub(crate) fn may_have(&self, name: &[u8]) -> bool {
        self.names & Self::bit(name.len(), first_letter(name)) != 0
    }

    /// Whether the places of all fields are known.
    pub(crate) fn is_whole(&self) -> bool {
        !self.has_others
    }

    /// Where the value of the first field of that name begins, with the white space before it, in `text`.
    pub(crate) fn find(&self, text: &[u8], name: &[u8]) -> Option<usize> {
        let (length, first) = (u8::try_from(name.len()).ok()?, first_letter(name));
        let places = self.places.get(..usize::from(self.count))?;
        places
            .iter()
            .filter(|place| place.length == length && place.first == first)
            .map(|place| usize::from(place.start))
            .find(|&start| {
                text.get(start..start + name.len())
                    .is_some_and(|found| found.eq_ignore_ascii_case(name))
            })
            .map(|start| start + name.len() + 1)
    }

    fn bit(length: usize, first: u8) -> u64 {
        1 << ((length ^ (usize::from(first) << 1)) % 64)
    }
}

fn first_letter(name: &[u8]) -> u8 {
    name.first().map_or(0, u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use crate::head::Head;

    /// The value of the first field of that name, by all lines.
    fn by_lines<'h>(head: &'h Head, name: &str) -> Option<&'h [u8]> {
        let mut fields = head.fields();
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    #[test]
    fn a_field_is_found_wherever_it_stands_and_the_first_of_a_name_counts() {
        let long = "L".repeat(300);
        let wide = "w".repeat(70_000);
        let few = "Server: x\r\nDate:\t y \r\nEmpty:\r\ndate: z\r\n".to_owned();
        let many: String = (0..40)
            .map(|number| format!("X-{}: {number}\r\n", number % 30))
            .collect();
        for (lines, names) in [
            (
                few.clone(),
                vec!["server", "DATE", "empty", "Dat", "dates", "xerver"],
            ),
            (
                many.clone() + &few,
                vec!["x-0", "X-9", "x-15", "x-16", "x-29", "x-30", "Date"],
            ),
            (format!("{long}: 1\r\n{few}{long}: 2\r\n"), vec![&long, "date"]),
            (
                format!("Wide: {wide}\r\n{few}"),
                vec!["wide", "date", "server", "none"],
            ),
            (
                format!("Folded: a\r\n b\r\nOdd name : c\r\n{few}"),
                vec!["folded", "odd name", "date"],
            ),
            (String::new(), vec!["a", ""]),
        ] {
            let head = Head::parse(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes()).unwrap();
            for name in names {
                assert_eq!(head.get(name), by_lines(&head, name), "{name:.20}");
            }
        }
        let head = Head::parse(format!("HTTP/1.1 200 OK\r\n{few}\r\n").as_bytes()).unwrap();
        assert_eq!(head.get("DATE"), Some(&b"y"[..]));
        assert_eq!((head.get("empty"), head.get("dates")), (Some(&b""[..]), None));
    }
}
