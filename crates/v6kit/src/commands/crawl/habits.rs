//! URLs as they are written for other programs, or as a shell leaves them.

/// From so many URLs that differ by a number on, a shell is taken to have written them.
const OF_A_SHELL: usize = 10;

/// What to say of a range in square brackets, which curl would count through: `[1-5]`, `[001-100]`, `[a-z:2]`.
pub(super) fn brackets(url: &str) -> Option<String> {
    // An address of IPv6 stands in brackets before the path.
    let path = url
        .find("://")
        .and_then(|scheme| url[scheme + 3..].find(['/', '?']).map(|end| scheme + 3 + end))?;
    url[path..].match_indices('[').find_map(|(at, _)| {
        let inside = &url[path + at + 1..];
        let inside = &inside[..inside.find(']')?];
        let range = inside.split_once(':').map_or(inside, |(range, _step)| range);
        let (first, last) = range.split_once('-')?;
        is_end_of_range(first, last)
            .then(|| format!("[{inside}] is fetched as it stands; a range is written {{{first}..{last}}}"))
    })
}

fn is_end_of_range(first: &str, last: &str) -> bool {
    let numbers = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let letter = |text: &str| text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    (numbers(first) && numbers(last)) || (letter(first) && letter(last))
}

/// What to say of URLs that count upwards one by one, as a shell makes of braces that are not quoted.
pub(super) fn unquoted_braces(urls: &[&str]) -> Option<String> {
    let (first, last) = (*urls.first()?, *urls.last()?);
    if urls.len() < OF_A_SHELL || first.contains('{') {
        return None;
    }
    let (before, behind) = around(first, urls[1]);
    let number = |url: &str| -> Option<u64> {
        let number = url.strip_prefix(before)?.strip_suffix(behind)?;
        let canonical = number == "0" || !number.starts_with('0');
        number
            .parse()
            .ok()
            .filter(|_| canonical && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let from = number(first)?;
    let counted = urls
        .iter()
        .zip(from..)
        .all(|(url, expected)| number(url) == Some(expected));
    counted.then(|| {
        format!(
            "{} URLs were given that count upwards, as a shell makes of braces without quotes; in quotes they are one \
             argument: '{before}{{{from}..{}}}{behind}'",
            urls.len(),
            number(last).unwrap_or(from),
        )
    })
}

/// What two texts have in common before and behind a number in which they differ.
fn around<'a>(one: &'a str, other: &str) -> (&'a str, &'a str) {
    let before = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    // 100 and 101 differ in the last digit, and the number begins before it.
    let before = one.as_bytes()[..before]
        .iter()
        .rposition(|byte| !byte.is_ascii_digit())
        .map_or(0, |at| at + 1);
    let digits = one.as_bytes()[before..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (&one[..before], &one[before + digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_curl_is_noticed_and_an_address_or_a_list_in_a_query_is_not() {
        let said = brackets("http://[::1]:8081/items/[1-5]").unwrap();
        assert!(said.contains("{1..5}"), "{said}");
        assert!(
            brackets("https://example.org/[001-100]/x")
                .unwrap()
                .contains("{001..100}")
        );
        assert!(
            brackets("https://example.org/?q=[a-z:2]")
                .unwrap()
                .contains("{a..z}")
        );
        for url in [
            "http://[2001:db8::1]/items/{1..5}",
            "http://[2001-2]",
            "https://example.org/?ids[]=1&x[a]=2",
            "https://example.org/[a-9]",
            "https://example.org/[1-5",
        ] {
            assert_eq!(brackets(url), None, "{url}");
        }
    }

    #[test]
    fn urls_that_a_shell_counted_are_noticed_and_a_choice_of_numbers_is_not() {
        let urls = |numbers: &mut dyn Iterator<Item = u64>, behind: &str| -> Vec<String> {
            numbers
                .map(|number| format!("http://h2.example/v1/{number}{behind}"))
                .collect()
        };
        let said = |urls: &[String]| unquoted_braces(&urls.iter().map(String::as_str).collect::<Vec<_>>());
        let text = said(&urls(&mut (1..=300), "")).unwrap();
        assert!(text.contains("'http://h2.example/v1/{1..300}'"), "{text}");
        let text = said(&urls(&mut (98..=120), "/x?page=2")).unwrap();
        assert!(
            text.contains("'http://h2.example/v1/{98..120}/x?page=2'"),
            "{text}"
        );
        assert_eq!(said(&urls(&mut (1..=5), "")), None);
        assert_eq!(said(&urls(&mut (1..=300).step_by(7), "")), None);
        assert_eq!(said(&[]), None);
    }
}
