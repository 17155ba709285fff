//! Words as a shell reads them.

use std::borrow::Cow;
use std::path::Path;

/// A word as it can be typed into a POSIX shell: quoted where it holds anything that the shell takes for its own.
///
/// Every command in a hint puts foreign text (paths, names of devices) through it.
#[must_use]
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    // `=` begins a command's path in zsh, and an assignment in none of these places.
    if !word.is_empty() && !word.starts_with('=') && word.bytes().all(is_plain) {
        return Cow::Borrowed(word);
    }
    // A NUL, which no argument has, is all that cannot be quoted.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

/// A path as it can be typed into a shell. One that begins with a dash is none that a program takes for an option.
#[must_use]
pub fn shell_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') {
        shell_word(&format!("./{text}")).into_owned()
    } else {
        shell_word(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        for word in [
            "plain",
            "/a/b",
            "two words",
            "a;b",
            "it's",
            "$HOME",
            "`id`",
            "",
            "\n",
            "a\"b",
            "#x",
            "~",
        ] {
            let typed = format!("printf %s {}", shell_word(word));
            let ran = std::process::Command::new("sh")
                .args(["-c", &typed])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&ran.stdout), word, "{typed}");
        }
        assert_eq!(shell_path(Path::new("-rf x")), "'./-rf x'");
    }
}
