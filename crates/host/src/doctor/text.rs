//! Numbers for people.

/// `1,234,567`; `no limit` for what is as good as none.
pub(super) fn count(number: u64) -> String {
    if number >= i64::MAX as u64 {
        return "no limit".to_owned();
    }
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `512 MiB`, `23.4 GiB`.
pub(super) fn binary(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        None => format!("{bytes} B"),
        Some((size, unit)) if bytes.is_multiple_of(*size) => format!("{} {unit}", bytes / size),
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_048_576), "1,048,576");
        assert_eq!(count(u64::MAX), "no limit");
        assert_eq!(binary(512 << 20), "512 MiB");
        assert_eq!(binary(1_610_612_736), "1.5 GiB");
        assert_eq!(binary(12), "12 B");
    }
}
