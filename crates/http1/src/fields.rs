//! Small parts of field lines (RFC 9110 section 5).

/// Without the white space around (RFC 9110 section 5.6.3).
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    if !matches!(text, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
        return text;
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let to = text
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(from, |at| at + 1);
    &text[from..to]
}

/// The elements of a list. Empty ones are none (RFC 9110 section 5.6.1.2).
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Whether it can be the name of a field (RFC 9110 section 5.6.2).
pub(crate) fn is_token(name: &[u8]) -> bool {
    let is_symbol = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || is_symbol(byte))
}

/// Whether a byte may stand in a value: no control character but HTAB (RFC 9110 section 5.5).
pub(crate) fn is_value(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}
