//! Sizes as people write them.

/// Bytes of `10G`, `512M`, `1.5T`; a bare number is bytes. Units are powers of 1024.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size; write a number and K, M, G or T, such as 20G");
    let trimmed = text.trim().trim_end_matches(['B', 'b']).trim_end_matches(['i', 'I']);
    let shift = match trimmed.chars().last().map(|c| c.to_ascii_uppercase()) {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        Some(_) => 0,
        None => return Err(wrong()),
    };
    let number = if shift == 0 { trimmed } else { &trimmed[..trimmed.len() - 1] };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let value = number * (1_u64 << shift) as f64;
    if value.is_finite() && (0.0..9e18).contains(&value) { Ok(value as u64) } else { Err(wrong()) }
}

/// MiB of `2G`; a bare number is MiB.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn mebibytes(text: &str) -> Result<u64, String> {
    if let Ok(number) = text.trim().parse() {
        return Ok(number);
    }
    Ok(bytes(text)? >> 20)
}

/// `bytes` for people, such as `1.5 GiB`.
pub fn shown(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes >= 1 << shift {
            let value = bytes as f64 / (1_u64 << shift) as f64;
            return if value.fract() < 0.05 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in
            [("10G", 10 << 30), ("512MiB", 512 << 20), ("1.5t", 3 << 39), ("4096", 4096), ("1 kB", 1024)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for bad in ["", "G", "ten", "-1G", "1e30T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(mebibytes("2G"), Ok(2048));
        assert_eq!(mebibytes("96"), Ok(96));
        assert_eq!(shown(3 << 29), "1.5 GiB");
    }
}
