//! Phone numbers as people read them.

/// An address of the wire (`tel:+13175550100`, `sip:alice@example.org;user=phone`) as the display shows it: without
/// scheme and parameters, North American numbers in groups, everything else as it is.
pub(super) fn readable(address: &str) -> String {
    let bare = without_scheme(address.trim());
    let bare = bare.split([';', '?']).next().unwrap_or_default();
    let bare = match bare.split_once('@') {
        // The host of a number's SIP address is some carrier's: noise.
        Some((user, _)) if is_number(user) => user,
        _ => bare,
    };
    grouped(bare).unwrap_or_else(|| bare.to_owned())
}

fn without_scheme(address: &str) -> &str {
    match address.split_once(':') {
        Some((scheme, rest))
            if ["tel", "sip", "sips"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            rest
        }
        _ => address,
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `+13175550100` as `+1 317-555-0100`, the form the cloud uses in `addressDisplayable`.
fn grouped(number: &str) -> Option<String> {
    let national = number.strip_prefix("+1")?;
    if national.len() != 10 || !is_number(national) || national.starts_with('+') {
        return None;
    }
    let (area, rest) = national.split_at(3);
    let (exchange, line) = rest.split_at(3);
    Some(format!("+1 {area}-{exchange}-{line}"))
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn addresses_become_readable() {
        for (address, shown) in [
            ("tel:+13175550100", "+1 317-555-0100"),
            ("TEL:+13175550100;ext=7", "+1 317-555-0100"),
            ("+1 317-555-0100", "+1 317-555-0100"),
            ("tel:+4930123456", "+4930123456"),
            ("+1317555010", "+1317555010"),
            ("+1+317555010", "+1+317555010"),
            ("sip:+13175550100@edge.example:5060", "+1 317-555-0100"),
            ("sip:alice@example.org;user=phone", "alice@example.org"),
            ("sips:bob@example.org?x=y", "bob@example.org"),
            ("4711", "4711"),
            ("", ""),
            ("tel:", ""),
            ("+1éééééé", "+1éééééé"),
            ("unknown:thing", "unknown:thing"),
        ] {
            assert_eq!(readable(address), shown, "{address}");
        }
    }
}
