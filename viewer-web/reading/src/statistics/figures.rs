//! Formulas of the figures, apart from where the numbers come from.

/// Middle of the values: mean of the two middle ones when their number is even. `None` without values.
#[must_use]
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(half - 1).map(|lower| (lower + upper) / 2.0)
}

/// Value that `share` of all values do not exceed (nearest rank). `None` without values.
#[must_use]
pub fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

/// `part / whole` between 0 and 1; 0 when there is no whole, so that a page always has a number.
#[must_use]
pub fn rate(part: i64, whole: i64) -> f64 {
    if whole > 0 {
        part as f64 / whole as f64
    } else {
        0.0
    }
}

/// One field of a CSV line (RFC 4180); a leading formula character is defused for spreadsheets.
#[must_use]
pub fn csv_field(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if risky {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_and_ninetieth() {
        let check = |values: &[f64], mid: Option<f64>, p90: Option<f64>| {
            assert_eq!(median(&mut values.to_vec()), mid, "{values:?}");
            assert_eq!(percentile(&mut values.to_vec(), 0.9), p90, "{values:?}");
        };
        check(&[], None, None);
        check(&[7.0], Some(7.0), Some(7.0));
        check(&[4.0, 1.0], Some(2.5), Some(4.0));
        check(
            &[10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
            Some(5.5),
            Some(9.0),
        );
        check(&[3.0, 1.0, 2.0], Some(2.0), Some(3.0));
    }

    #[test]
    fn a_rate_without_a_whole_is_zero() {
        assert_eq!(rate(0, 0), 0.0);
        assert_eq!(rate(1, 4), 0.25);
    }

    #[test]
    fn csv_fields_are_quoted_and_never_a_formula() {
        let check = |text: &str, expect: &str| assert_eq!(csv_field(text), expect);
        check("河西镇卫生院", "河西镇卫生院");
        check("a,\"b\"", "\"a,\"\"b\"\"\"");
        check("=1+1", "'=1+1");
    }
}
