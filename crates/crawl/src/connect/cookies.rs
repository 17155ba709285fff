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
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
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
        for text in given
            .filter_map(|value| value.to_str().ok())
            .filter(|text| text.len() <= LARGEST)
        {
            let Ok(cookie) = RawCookie::parse(text.to_owned()) else {
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
