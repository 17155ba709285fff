//! What is sent for every item.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use v6kit_base::{Code, Hint, Secret};

use crate::protocol::{ACCEPTED_CODINGS, Coding};

/// What stands for the value of a header that proves who asks.
pub const NOT_STORED: &str = "(not stored)";

/// The text of a header, unless it is a secret: then [`NOT_STORED`].
#[must_use]
pub fn shown(value: &HeaderValue) -> Cow<'_, str> {
    if value.is_sensitive() {
        NOT_STORED.into()
    } else {
        String::from_utf8_lossy(value.as_bytes())
    }
}

/// What is sent for every item.
#[derive(Debug, Clone)]
pub struct RequestSpec {
    /// The method.
    pub method: Method,
    /// The headers, without `Host` unless the user set it.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// What becomes of placeholders in it.
    pub body_form: BodyForm,
    /// Who is said to ask. What proves it is among the headers.
    pub login: Login,
    /// How the names of headers were typed.
    pub spelling: Spelling,
}

/// What becomes of placeholders in a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyForm {
    /// Nothing: braces are what bodies of JSON are made of.
    #[default]
    Literal,
    /// What tells one item from another takes their places.
    Filled,
}

/// A header as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, in lower case as header maps have it.
    pub name: HeaderName,
    /// The same with the letters that were typed.
    pub typed: Box<str>,
    /// The value.
    pub value: HeaderValue,
}

/// How the names of headers were typed: there are servers that compare letters, although names have no case (RFC 9110
/// section 5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelling(Vec<(HeaderName, Box<str>)>);

impl Spelling {
    /// From now on `name` is written like `typed`.
    pub fn learn(&mut self, name: &HeaderName, typed: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, spelled)) => *spelled = typed.into(),
            None => self.0.push((name.clone(), typed.into())),
        }
    }

    /// How `name` was typed, if it was.
    #[must_use]
    pub fn of(&self, name: &HeaderName) -> Option<&str> {
        let (_, typed) = self.0.iter().find(|(known, _)| known == name)?;
        Some(typed)
    }
}

/// Who is said to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Nobody in particular.
    None,
    /// A user with a password (RFC 7617).
    Basic {
        /// The name.
        user: String,
    },
    /// Whoever holds the token (RFC 6750).
    Bearer,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Basic { user } => f.write_str(user),
            Self::Bearer => f.write_str("bearer"),
        }
    }
}

/// Words in the names of headers whose values prove who asks.
const SECRET_WORDS: [&str; 16] = [
    "auth",
    "authentication",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "csrf",
    "jwt",
    "otp",
    "session",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "xsrf",
];

/// What such words end in, as `authtoken` does.
const SECRET_ENDS: [&str; 5] = ["apikey", "passwd", "password", "secret", "token"];

/// What stands before `-Key` in the names of such headers.
const KEYS: [&str; 9] = [
    "access",
    "api",
    "app",
    "auth",
    "client",
    "license",
    "private",
    "service",
    "subscription",
];

/// Whether the value of the header `name` proves who asks, and is kept out of what is stored and printed.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let words: Vec<&str> = name.split(['-', '_', '.']).collect();
    let is_secret =
        |word: &&str| SECRET_WORDS.contains(word) || SECRET_ENDS.iter().any(|end| word.ends_with(end));
    words.iter().any(is_secret)
        || words
            .windows(2)
            .any(|pair| KEYS.contains(&pair[0]) && pair[1] == "key")
}

/// The default `User-Agent`: who asks, and where to complain.
pub const USER_AGENT: &str = concat!(
    "v6kit/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// Why a request cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No colon.
    #[error("there is no colon after the name of a header")]
    NoColon,
    /// A name that is no token (RFC 9110 section 5.1).
    #[error("what stands before the colon is not the name of a header")]
    Name,
    /// A value with control characters (RFC 9110 section 5.5).
    #[error("the value of `{name}` holds a character that a header cannot")]
    Value {
        /// The header.
        name: String,
    },
    /// A header that describes the connection or the body, which the engine does itself.
    #[error("`{name}` is set by the connection itself")]
    Reserved {
        /// The header.
        name: HeaderName,
    },
    /// Nothing that can be shown as a bearer token.
    #[error("it holds no bearer token")]
    Token,
    /// Not a token.
    #[error("`{method}` is not a method")]
    Method {
        /// What was given.
        method: String,
    },
}

impl Hint for RequestError {
    fn code(&self) -> Code {
        match self {
            Self::NoColon
            | Self::Name
            | Self::Value { .. }
            | Self::Reserved { .. }
            | Self::Token
            | Self::Method { .. } => Code::BadRequest,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoColon => "write it as 'Name: value'".to_owned(),
            Self::Name => "a name is made of letters, digits and hyphens".to_owned(),
            Self::Value { .. } => "headers hold one line of text".to_owned(),
            Self::Reserved { .. } => "leave it out".to_owned(),
            Self::Token => "a token is one line of letters, digits and -._~+/=".to_owned(),
            Self::Method { .. } => "use a method such as GET, HEAD or POST".to_owned(),
        })
    }
}

/// `Basic …`, which nothing prints (RFC 7617).
#[must_use]
pub fn basic(user: &str, password: &Secret) -> HeaderValue {
    let pair = Secret::from(format!("{user}:{}", password.reveal()));
    let encoded = BASE64.encode(pair.reveal());
    // Base64 is made of what a header may hold.
    let mut value =
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

impl RequestSpec {
    /// A request with `method`, the default headers, and no body.
    #[must_use]
    pub fn new(method: Method, coding: Coding) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if coding == Coding::Undo {
            headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(ACCEPTED_CODINGS),
            );
        }
        Self {
            method,
            headers,
            body: Bytes::new(),
            body_form: BodyForm::Literal,
            login: Login::None,
            spelling: Spelling::default(),
        }
    }

    /// Says with every request who asks (RFC 7617).
    pub fn log_in(&mut self, user: &str, password: &Secret) {
        self.headers.insert(header::AUTHORIZATION, basic(user, password));
        self.login = Login::Basic {
            user: user.to_owned(),
        };
    }

    /// Shows a token with every request (RFC 6750).
    ///
    /// # Errors
    /// [`RequestError::Token`].
    pub fn bear(&mut self, token: &str) -> Result<(), RequestError> {
        // RFC 6750 section 2.1: b64token.
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(known) {
            return Err(RequestError::Token);
        }
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_invalid| RequestError::Token)?;
        value.set_sensitive(true);
        self.headers.insert(header::AUTHORIZATION, value);
        self.login = Login::Bearer;
        Ok(())
    }

    /// Parses a method.
    ///
    /// # Errors
    /// [`RequestError::Method`].
    pub fn parse_method(text: &str) -> Result<Method, RequestError> {
        Method::from_bytes(text.as_bytes()).map_err(|_invalid| RequestError::Method {
            method: text.to_owned(),
        })
    }

    /// Parses `Name: value`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse_header(text: &str) -> Result<Field, RequestError> {
        let (typed, value) = text.split_once(':').ok_or(RequestError::NoColon)?;
        let name = HeaderName::from_bytes(typed.trim().as_bytes()).map_err(|_invalid| RequestError::Name)?;
        let reserved = [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::TE,
        ];
        if reserved.contains(&name) {
            return Err(RequestError::Reserved { name });
        }
        let mut value =
            HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_invalid| RequestError::Value {
                name: name.to_string(),
            })?;
        value.set_sensitive(is_secret_header(name.as_str()));
        Ok(Field {
            name,
            typed: typed.trim().into(),
            value,
        })
    }

    /// Adds headers; the first of a name replaces a default of that name.
    pub fn add_headers(&mut self, headers: impl IntoIterator<Item = Field>) {
        let mut seen = std::collections::HashSet::new();
        for Field { name, typed, value } in headers {
            self.spelling.learn(&name, &typed);
            if seen.insert(name.clone()) {
                self.headers.insert(name, value);
            } else {
                self.headers.append(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_prove_who_asks_are_known_by_the_words_of_their_names() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "cookie",
            "X-Api-Key",
            "api_key",
            "Ocp-Apim-Subscription-Key",
            "X-Goog-Api-Key",
            "x-amz-security-token",
            "PRIVATE-TOKEN",
            "X-Auth-Email",
            " X-Vault-Token ",
            "X-Client-Secret",
            "apikey",
            "X-CSRF",
            "Signature",
            "X-AuthToken",
            "X-Client-Key",
            "Private-Key",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in [
            "Accept",
            "X-Author",
            "User-Agent",
            "Idempotency-Key",
            "If-None-Match",
            "Authority",
            "X-Tokens-Left",
        ] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn what_is_sent_for_every_item_is_printed_without_who_asks() {
        let mut request = RequestSpec::new(Method::GET, Coding::Undo);
        request.log_in("alice", &"s3cret".into());
        request.add_headers([RequestSpec::parse_header("X-Vault-Token: s3cret").unwrap()]);
        let printed = format!("{request:?} {request:#?}");
        // base64 of alice:s3cret
        let sent = "YWxpY2U6czNjcmV0";
        assert!(
            !printed.contains("s3cret") && !printed.contains(sent),
            "{printed}"
        );
        request.bear("t0ken").unwrap();
        assert!(!format!("{request:?}").contains("t0ken"));
        assert_eq!(request.headers["authorization"], "Bearer t0ken");
    }
}
