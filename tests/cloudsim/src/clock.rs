//! Time: what the engine counts in (a `Duration` since the start) and what the wire shows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Turns time since the start into time of day.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    epoch: Duration,
}

impl WallClock {
    /// A clock whose zero is now.
    pub fn starting_now() -> Self {
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self { epoch }
    }

    /// A clock whose zero is this long after the Unix epoch.
    pub const fn starting_at(epoch: Duration) -> Self {
        Self { epoch }
    }

    /// Milliseconds since the Unix epoch, with microseconds behind the point.
    pub fn epoch_ms(self, now: Duration) -> f64 {
        ((self.epoch + now).as_micros() as f64) / 1000.0
    }

    /// RFC 3339 with milliseconds, as the cloud writes times.
    pub fn iso(self, now: Duration) -> String {
        let total = self.epoch + now;
        let seconds = total.as_secs();
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days as i64);
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            total.subsec_millis()
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar, by eras of
/// 400 years (146,097 days) that begin on 1 March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_735_689_599, "2024-12-31T23:59:59.250Z"),
            (1_767_225_600, "2026-01-01T00:00:00.250Z"),
            (1_772_323_199, "2026-02-28T23:59:59.250Z"),
        ] {
            let clock = WallClock::starting_at(Duration::from_secs(seconds));
            assert_eq!(clock.iso(Duration::from_millis(250)), text);
        }
        let clock = WallClock::starting_at(Duration::from_secs(1));
        assert!((clock.epoch_ms(Duration::from_micros(1500)) - 1001.5).abs() < 1e-9);
    }
}
