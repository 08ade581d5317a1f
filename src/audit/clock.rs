//! Moments as texts that people read and that sort by time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sys::calendar::civil_from_days;

const DAY: u64 = 24 * 60 * 60;

/// A text that is no moment.
#[derive(Debug, thiserror::Error)]
#[error(
    "no time: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago (90s, 15m, 2h, 7d) is expected"
)]
pub struct TimeError;

/// `2026-01-02T03:04:05.678Z`; what lies before 1970 is its beginning.
pub fn moment(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, day) = civil_from_days(i64::try_from(days).unwrap_or(0));
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (second, milli) = (second % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// A moment to begin at, as [`moment`] would write it: a date, a date and time, or how long before
/// `now`.
pub fn parse_since(text: &str, now: SystemTime) -> Result<String, TimeError> {
    let text = text.trim();
    if let Some(unit) = text.chars().last().filter(char::is_ascii_lowercase) {
        let count: u64 = text[..text.len() - 1].parse().map_err(|_| TimeError)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => DAY,
            _ => return Err(TimeError),
        };
        let back = Duration::from_secs(count.checked_mul(seconds).ok_or(TimeError)?);
        return Ok(moment(now.checked_sub(back).unwrap_or(UNIX_EPOCH)));
    }
    // A beginning of what `moment` writes, with a blank for the T if one likes.
    let pattern = "0000-00-00T00:00:00.000";
    let text = text.strip_suffix('Z').unwrap_or(text).replace(' ', "T");
    let is_like = |(c, pattern): (char, char)| match pattern {
        '0' => c.is_ascii_digit(),
        other => c == other,
    };
    let is_whole = matches!(text.len(), 10 | 16 | 19 | 23);
    match is_whole && text.is_ascii() && text.chars().zip(pattern.chars()).all(is_like) {
        true => Ok(text),
        false => Err(TimeError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        let at =
            |seconds, millis: u32| moment(UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_767_323_045, 678), "2026-01-02T03:04:05.678Z");
        assert_eq!(at(4_107_542_399, 0), "2100-02-28T23:59:59.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_beginning_is_a_date_or_how_long_ago() {
        let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let since = |text| parse_since(text, now).ok();
        assert_eq!(since("2h").as_deref(), Some("2026-01-02T01:04:05.000Z"));
        assert_eq!(since("7d").as_deref(), Some("2025-12-26T03:04:05.000Z"));
        assert_eq!(since("2026-01-02").as_deref(), Some("2026-01-02"));
        assert_eq!(since("2026-01-02 03:04:05Z").as_deref(), Some("2026-01-02T03:04:05"));
        for no in
            ["", "h", "3w", "-1h", "yesterday", "2026-1-2", "2026-01-02T", "99999999999999999999d"]
        {
            assert_eq!(since(no), None, "{no}");
        }
    }
}
