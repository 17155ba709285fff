//! Cookies, a jar for each source address: what one address is given no other one shows.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;

use ::url::Url;
use cookie_store::{CookieStore, RawCookie};
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use lru::LruCache;

/// Addresses whose jars are kept: those that were used last.
const JARS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Cookies in a jar, and the largest, at most (RFC 6265 section 6.1 asks for as much at least).
const COOKIES: usize = 200;
const LARGEST: usize = 4096;

/// The jars of a shard.
pub(crate) struct Jars(RefCell<LruCache<Ipv6Addr, CookieStore>>);

impl Jars {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(LruCache::new(JARS)))
    }

    /// Adds to a request for `url` what `from` was given for it.
    pub(crate) fn fill(&self, from: Ipv6Addr, url: &Url, headers: &mut HeaderMap) {
        let mut jars = self.0.borrow_mut();
        let Some(jar) = jars.get(&from) else {
            return;
        };
        let mut text = headers
            .get(COOKIE)
            .map_or_else(Vec::new, |own| own.as_bytes().to_vec());
        for (name, value) in jar.get_request_values(url) {
            if !text.is_empty() {
                text.extend_from_slice(b"; ");
            }
            text.extend(name.chars().map(octet));
            text.push(b'=');
            text.extend(value.chars().map(octet));
        }
        // Nothing that came in a header is more than a header can hold.
        if let Ok(mut value) = HeaderValue::from_bytes(&text)
            && !text.is_empty()
        {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }

    /// Keeps what an answer from `url` gave `from`.
    pub(crate) fn keep(&self, from: Ipv6Addr, url: &Url, headers: &HeaderMap) {
        let mut given = headers.get_all(SET_COOKIE).iter().peekable();
        if given.peek().is_none() {
            return;
        }
        let mut jars = self.0.borrow_mut();
        let jar = jars.get_or_insert_mut(from, CookieStore::new);
        for value in given.filter(|value| value.len() <= LARGEST) {
            let Some(cookie) = parsed(value.as_bytes()) else {
                continue;
            };
            if is_for_whole_registry(&cookie, url) || jar.iter_any().count() >= COOKIES {
                continue;
            }
            // One that the site may not give is not kept.
            let _ = jar.insert_raw(&cookie, url);
        }
    }
}

/// What a Set-Cookie field holds. An octet is the character of its number: [`octet`] gives back what came, whatever its
/// encoding. Dates are read as RFC 6265 section 5.1.1 has it.
fn parsed(value: &[u8]) -> Option<RawCookie<'static>> {
    let text: String = value.iter().copied().map(char::from).collect();
    let mut parts = text.split(';');
    let pair = parts.next().unwrap_or_default().to_owned();
    let whole = parts
        .map(with_usual_date)
        .fold(pair, |whole, part| whole + ";" + &part);
    RawCookie::parse(whole).ok()
}

/// `Expires=DATE` with the date as HTTP writes it (RFC 9110 section 5.6.7); any other attribute as it is.
fn with_usual_date(attribute: &str) -> String {
    let date = attribute.split_once('=').and_then(|(name, date)| {
        let is_expires = name.trim().eq_ignore_ascii_case("expires");
        let date = v6kit_model::lenient_date(date).filter(|_| is_expires)?;
        let date = jiff::Timestamp::try_from(date).ok()?;
        jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&date)
            .ok()
    });
    date.map_or_else(|| attribute.to_owned(), |date| format!(" Expires={date}"))
}

/// The octet that [`parsed`] read as `character`.
fn octet(character: char) -> u8 {
    u8::try_from(character).unwrap_or(b'?')
}

/// `Domain=com` and the like, which would show a cookie to everybody.
fn is_for_whole_registry(cookie: &RawCookie<'_>, url: &Url) -> bool {
    cookie.domain().is_some_and(|domain| {
        let domain = domain.trim_start_matches('.');
        !domain.contains('.') && Some(domain) != url.host_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn answer(cookies: &[&'static str]) -> HeaderMap {
        let cookies = cookies
            .iter()
            .map(|text| (SET_COOKIE, HeaderValue::from_static(text)));
        cookies.collect()
    }

    fn shown(jars: &Jars, from: Ipv6Addr, to: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        jars.fill(from, &url(to), &mut headers);
        headers
            .get(COOKIE)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn addresses_do_not_share_cookies() {
        let jars = Jars::new();
        let [one, two]: [Ipv6Addr; 2] = [1, 2].map(Ipv6Addr::from_bits);
        jars.keep(
            one,
            &url("https://a.example/"),
            &answer(&["id=1; Path=/", "x=y; Path=/only; Secure"]),
        );
        jars.keep(two, &url("https://a.example/"), &answer(&["id=2"]));
        assert_eq!(shown(&jars, one, "https://a.example/z").as_deref(), Some("id=1"));
        assert_eq!(shown(&jars, two, "https://a.example/z").as_deref(), Some("id=2"));
        assert_eq!(shown(&jars, one, "https://b.example/"), None);
        assert!(
            shown(&jars, one, "https://a.example/only")
                .unwrap()
                .contains("x=y")
        );
        assert_eq!(
            shown(&jars, one, "http://a.example/only").as_deref(),
            Some("id=1")
        );
    }

    #[test]
    fn values_go_back_as_octets_and_dates_are_read_as_browsers_do() {
        let jars = Jars::new();
        let from = Ipv6Addr::LOCALHOST;
        let site = url("http://a.example/");
        let keep = |field: &[u8]| {
            let field = HeaderValue::from_bytes(field).unwrap();
            jars.keep(from, &site, &HeaderMap::from_iter([(SET_COOKIE, field)]));
        };
        let shown = || {
            let mut headers = HeaderMap::new();
            jars.fill(from, &site, &mut headers);
            headers.get(COOKIE).map(|value| value.as_bytes().to_vec())
        };
        for date in [
            "Thu, 01-Jan-70 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 UTC",
            "1 Jan 1970 0:0:0",
        ] {
            keep(b"s=\xe9\xc3\xa9; Expires=Wed, 1 Jan 2200 0:00:00 +0000");
            assert_eq!(shown().as_deref(), Some(&b"s=\xe9\xc3\xa9"[..]));
            keep(format!("s=1; expires={date}").as_bytes());
            assert_eq!(shown(), None, "{date}");
        }
    }

    #[test]
    fn cookies_for_everybody_and_too_many_are_not_kept() {
        let jars = Jars::new();
        let from = Ipv6Addr::LOCALHOST;
        jars.keep(
            from,
            &url("https://a.example/"),
            &answer(&["id=1; Domain=example"]),
        );
        assert_eq!(shown(&jars, from, "https://a.example/"), None);
        for number in 0..1000 {
            let headers = HeaderMap::from_iter([(SET_COOKIE, format!("c{number}=1").parse().unwrap())]);
            jars.keep(from, &url("https://a.example/"), &headers);
        }
        let all = shown(&jars, from, "https://a.example/").unwrap();
        assert_eq!(all.split("; ").count(), COOKIES);
    }
}
