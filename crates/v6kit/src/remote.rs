//! A list or a job file that is given as a URL: fetched whole, before it is read.

use std::path::Path;

/// What a list may take, packed and unpacked, in bytes: as much as a job keeps a copy of.
pub(crate) const LARGEST_LIST: u64 = 1 << 30;

/// What a job file may take, in bytes.
pub(crate) const LARGEST_JOB_FILE: u64 = 1 << 20;

/// The URL that an argument is, where it names no file.
pub(crate) fn url_of(argument: &Path) -> Option<&str> {
    let text = argument.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    let is_known = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    is_known.then_some(text)
}

/// A URL as messages show it: without user and password, and without its query, which may hold a token.
pub(crate) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest[..end].split_at(rest[..end].find('/').unwrap_or(end));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let more = if end < rest.len() { "?…" } else { "" };
    format!("{scheme}://{host}{path}{more}")
}

#[cfg(feature = "remote")]
pub(crate) use self::fetching::fetch;

#[cfg(feature = "remote")]
mod fetching {
    use std::io::Write;
    use std::sync::Arc;
    use std::time::Duration;

    use anyhow::{Context as _, bail};
    use reqwest::redirect::{Attempt, Policy};
    use reqwest::{Client, Url};
    use rustls::{ClientConfig, RootCertStore};

    use super::shown;
    use crate::failure::{Exit, Failure};

    /// For a connection, for silence, and for all of it.
    const CONNECT: Duration = Duration::from_secs(15);
    const SILENCE: Duration = Duration::from_secs(30);
    const ALL: Duration = Duration::from_secs(600);

    const MOST_REDIRECTS: usize = 10;

    /// Writes what `url` leads to into `out`: at most `most` bytes, from nobody's proxy, and never without TLS where it
    /// began with it.
    pub(crate) async fn fetch(
        what: &str,
        url: &str,
        most: u64,
        out: &mut (impl Write + ?Sized),
    ) -> Result<(), Failure> {
        let failed = |exit| Failure::new(exit, format!("{what} cannot be fetched from {}", shown(url)));
        let target = Url::parse(url).map_err(|error| failed(Exit::Usage).why(error.to_string()))?;
        if !target.username().is_empty() || target.password().is_some() {
            return Err(failed(Exit::Usage)
                .why("the URL holds a user name or a password, which would be on the command line for all to see")
                .hint("fetch it with a program that knows the password, and give the file"));
        }
        received(target, most, out).await.map_err(|error| {
            let source = error.source().map(crate::failure::chain);
            let why = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            failed(Exit::Failed)
                .why(why)
                .hint("check the URL, or fetch it yourself and give the file")
        })
    }

    async fn received(url: Url, most: u64, out: &mut (impl Write + ?Sized)) -> anyhow::Result<()> {
        let too_large = || format!("it has more than {most} bytes");
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .no_proxy()
            .referer(false)
            .redirect(Policy::custom(redirected))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(ALL)
            .user_agent(concat!("v6kit/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("TLS cannot be spoken")?;
        // The errors would show the URL, with its query.
        let mut answer = client
            .get(url)
            .send()
            .await
            .map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        if !status.is_success() {
            bail!("the server answers {status}");
        }
        if answer.content_length().is_some_and(|length| length > most) {
            bail!(too_large());
        }
        let mut left = most;
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            left = left.checked_sub(piece.len() as u64).with_context(too_large)?;
            out.write_all(&piece).context("it cannot be kept")?;
        }
        Ok(())
    }

    fn redirected(attempt: Attempt<'_>) -> reqwest::redirect::Action {
        let before = attempt.previous();
        let loses_tls =
            before.last().is_some_and(|url| url.scheme() == "https") && attempt.url().scheme() != "https";
        if loses_tls {
            attempt.error("a redirect leads from https:// to http://")
        } else if before.len() > MOST_REDIRECTS {
            attempt.error(format!("there are more than {MOST_REDIRECTS} redirects"))
        } else {
            attempt.follow()
        }
    }

    /// TLS by ring, with what this system trusts: SSL_CERT_FILE names others.
    fn tls() -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth())
    }
}

/// What a build without the feature says instead.
#[cfg(not(feature = "remote"))]
pub(crate) async fn fetch(
    what: &str,
    url: &str,
    _most: u64,
    _out: &mut (impl std::io::Write + ?Sized),
) -> Result<(), crate::failure::Failure> {
    let what = format!("{what} cannot be fetched from {}", shown(url));
    Err(crate::failure::Failure::new(crate::failure::Exit::Usage, what)
        .why("this build cannot fetch lists and job files: it was built without the feature `remote`")
        .hint(format!(
            "{}; or fetch it yourself and give the file",
            v6kit_store::BUILD_WITH_ALL
        )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_from_the_name_of_a_file() {
        let is_url = |argument: &str| url_of(Path::new(argument)).is_some();
        assert!(is_url("http://[::1]/list") && is_url("HTTPS://h.test/list.zst?x"));
        for file in [
            "list",
            "-",
            "/tmp/http:/list",
            "ftp://h.test/list",
            "https:/h.test/list",
        ] {
            assert!(!is_url(file), "{file}");
        }
    }

    #[test]
    fn messages_show_neither_password_nor_token() {
        assert_eq!(shown("https://h.test/list.zst"), "https://h.test/list.zst");
        assert_eq!(shown("https://u:p@h.test:8/a?token=x"), "https://h.test:8/a?…");
        assert_eq!(shown("http://h.test#u@x"), "http://h.test?…");
    }
}
