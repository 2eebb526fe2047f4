//! Resident identity numbers (GB 11643-1999), masks for screens, and ages.

/// Checks a resident identity number: 18 characters, a real birth date, the check character.
#[must_use]
pub fn national_id_valid(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let bytes = text.as_bytes();
    if bytes.len() != 18 || !bytes.iter().take(17).all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = bytes
        .iter()
        .zip(WEIGHTS)
        .map(|(b, w)| u32::from(b - b'0') * w)
        .sum();
    let check = CHECKS.get((sum % 11) as usize).copied();
    check == bytes.get(17).map(u8::to_ascii_uppercase) && birth_date_of(text).is_some_and(|d| date_valid(&d))
}

/// Birth date in a resident identity number, `YYYYMMDD`.
#[must_use]
pub fn birth_date_of(national_id: &str) -> Option<String> {
    national_id
        .get(6..14)
        .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_owned)
}

/// Sex in a resident identity number: the 17th digit is odd for men.
#[must_use]
pub fn sex_of(national_id: &str) -> Option<char> {
    let digit = national_id.as_bytes().get(16).filter(|b| b.is_ascii_digit())?;
    Some(if digit % 2 == 1 { 'M' } else { 'F' })
}

/// Whether `YYYYMMDD` is a day of the calendar.
#[must_use]
pub fn date_valid(text: &str) -> bool {
    date(text).is_some()
}

fn date(text: &str) -> Option<time::Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let month = time::Month::try_from(text.get(4..6)?.parse::<u8>().ok()?).ok()?;
    time::Date::from_calendar_date(text.get(..4)?.parse().ok()?, month, text.get(6..8)?.parse().ok()?).ok()
}

/// A day as DICOM writes it (`YYYYMMDD`) from that or from ISO 8601 (`YYYY-MM-DD`); `None` when it is no day.
#[must_use]
pub fn to_dicom_date(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    date_valid(&digits).then_some(digits)
}

/// A day as ISO 8601 from DICOM's form; anything else comes back as it was.
#[must_use]
pub fn to_iso_date(text: &str) -> String {
    match (text.get(..4), text.get(4..6), text.get(6..8)) {
        (Some(y), Some(m), Some(d)) if text.len() == 8 && date_valid(text) => format!("{y}-{m}-{d}"),
        _ => text.to_owned(),
    }
}

/// The number with all but the first six and last four characters hidden.
#[must_use]
pub fn mask_national_id(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let show_head = if chars.len() >= 15 { 6 } else { 0 };
    let tail = chars.len().saturating_sub(4);
    chars
        .iter()
        .enumerate()
        .map(|(i, c)| if i < show_head || i >= tail { *c } else { '*' })
        .collect()
}

/// A name for a public page: the first character stays, the rest is hidden.
#[must_use]
pub fn mask_name(name: &str) -> String {
    let mut chars = name.chars();
    let first: String = chars.next().into_iter().collect();
    first + &"*".repeat(chars.count().clamp(1, 3))
}

/// Age on the day `today` (both `YYYYMMDD`) as a doctor writes it: 61岁, 7月, 12天.
#[must_use]
pub fn age_text(birth_date: &str, today: &str) -> Option<String> {
    let (born, now) = (date(birth_date)?, date(today)?);
    let days = (now - born).whole_days();
    if days < 0 {
        return None;
    }
    let before_birthday = (u8::from(now.month()), now.day()) < (u8::from(born.month()), born.day());
    let years = now.year() - born.year() - i32::from(before_birthday);
    let mut months = (now.year() - born.year()) * 12 + i32::from(u8::from(now.month()))
        - i32::from(u8::from(born.month()));
    if now.day() < born.day() {
        months -= 1;
    }
    Some(match (years, months) {
        (y, _) if y >= 1 => format!("{y}岁"),
        (_, m) if m >= 1 => format!("{m}月"),
        _ => format!("{days}天"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_numbers() {
        let check = |text: &str, valid: bool| assert_eq!(national_id_valid(text), valid, "{text}");
        check("11010519491231002X", true);
        check("11010519491231002x", true);
        check("110105194912310021", false);
        check("11010519491331002X", false);
        check("1101051949123100", false);
        check("王010519491231002X", false);
        assert_eq!(sex_of("11010519491231002X"), Some('F'));
        assert_eq!(birth_date_of("11010519491231002X").as_deref(), Some("19491231"));
        assert_eq!(mask_national_id("11010519491231002X"), "110105********002X");
        assert_eq!(mask_national_id("A1234567"), "****4567");
    }

    #[test]
    fn days() {
        assert_eq!(to_dicom_date("1961-03-04").as_deref(), Some("19610304"));
        assert_eq!(to_dicom_date("1961-02-30"), None);
        assert_eq!(to_dicom_date("yesterday"), None);
        assert_eq!(to_iso_date("19610304"), "1961-03-04");
        assert_eq!(to_iso_date("1961"), "1961");
    }

    #[test]
    fn ages() {
        let check =
            |born, today, text: Option<&str>| assert_eq!(age_text(born, today).as_deref(), text, "{born}");
        check("19600229", "20260228", Some("65岁"));
        check("19600229", "20260301", Some("66岁"));
        check("20260115", "20260314", Some("1月"));
        check("20260301", "20260314", Some("13天"));
        check("20260401", "20260314", None);
        check("", "20260314", None);
    }

    #[test]
    fn names_are_hidden() {
        assert_eq!(mask_name("王小明"), "王**");
        assert_eq!(mask_name("王"), "王*");
    }
}
