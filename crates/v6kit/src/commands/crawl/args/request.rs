//! What is sent for each item, and whom to believe.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method};
use v6kit_crawl::{CookiePolicy, Trust};
use v6kit_model::input::{BodyForm, Field, RequestSpec};
use v6kit_model::{Coding, HttpVersion};

use crate::commands::crawl::values;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestArgs {
    /// The method; GET, or POST with a body
    #[arg(short = 'X', long = "method", value_name = "METHOD", value_parser = values::method, hide_short_help = true)]
    method: Option<Method>,
    /// A header, several times if needed: -H 'Accept: application/json'
    ///
    /// In headers, and with --fill in the body, {} stands for the line, or for what the braces of the URL came to;
    /// {1}, {2} for one of several; {{}} for {}.
    #[arg(short = 'H', long = "header", value_name = "'K: V'", value_parser = values::header)]
    headers: Vec<Field>,
    /// The body, or the file that holds it: -d @body.json
    #[arg(short, long, value_name = "BODY|@FILE")]
    data: Option<String>,
    /// Fill the body as headers are: -d '{"page":{1}}' --fill; without it the body is sent as it is
    #[arg(long, hide_short_help = true)]
    fill: bool,
    /// The User-Agent; by default one that says who asks
    #[arg(short = 'A', long, value_name = "UA", value_parser = values::user_agent, hide_short_help = true)]
    user_agent: Option<HeaderValue>,
    /// The version of HTTP; auto takes what the server prefers over TLS, and HTTP/1.1 otherwise
    #[arg(long, value_name = "VERSION", default_value = "auto", hide_short_help = true)]
    http: HttpChoice,
    /// HTTP/2 streams on one connection at a time
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u64).range(1..), hide_short_help = true)]
    pub(crate) streams: u64,
    /// Follow as many redirects for an item; each of them keeps to the pace and the robots.txt of where it leads
    #[arg(long, value_name = "N", default_value = "0", hide_short_help = true)]
    pub(crate) redirects: u32,
    /// Let each source address keep the cookies that it is given; no address shows those of another
    #[arg(long, hide_short_help = true)]
    cookies: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HttpChoice {
    Auto,
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

impl RequestArgs {
    /// The request of every item, before anybody logs in.
    pub(crate) fn resolve(&self, coding: Coding) -> Result<RequestSpec, Failure> {
        let method = match (&self.method, &self.data) {
            (Some(method), _) => method.clone(),
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let mut request = RequestSpec::new(method, coding);
        if let Some(agent) = &self.user_agent {
            request.headers.insert(USER_AGENT, agent.clone());
        }
        if let Some(data) = &self.data {
            request.body = body(data)?.into();
            if self.fill {
                request.body_form = BodyForm::Filled;
            }
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers.insert(CONTENT_TYPE, form);
        }
        request.add_headers(self.headers.iter().cloned());
        Ok(request)
    }

    /// The version of HTTP.
    pub(crate) fn http(&self) -> HttpVersion {
        match self.http {
            HttpChoice::Auto => HttpVersion::Auto,
            HttpChoice::One => HttpVersion::One,
            HttpChoice::Two => HttpVersion::Two,
        }
    }

    /// What becomes of cookies.
    pub(crate) fn cookies(&self) -> CookiePolicy {
        if self.cookies {
            CookiePolicy::PerAddress
        } else {
            CookiePolicy::Forget
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct TrustArgs {
    /// Trust the PEM certificates in this file instead of the system's
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "insecure",
        hide_short_help = true
    )]
    cacert: Option<PathBuf>,
    /// Believe every server, whatever its certificate
    #[arg(long, hide_short_help = true)]
    insecure: bool,
}

impl TrustArgs {
    /// Which certificates are believed; a warning where it is any.
    pub(crate) fn resolve(self, printer: &Printer) -> Trust {
        if self.insecure {
            printer.warning(
                "--insecure: certificates are not checked, so that anybody on the path can read and change everything",
            );
            return Trust::Anyone;
        }
        self.cacert.map_or(Trust::System, Trust::File)
    }
}

fn body(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(path) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    fs::read(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("the body cannot be read from {path}"))
            .why(error.to_string())
            .hint("write -d @FILE for a file, or -d TEXT for a text that does not begin with @")
    })
}
