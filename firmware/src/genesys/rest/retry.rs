//! Which failed requests are tried again, and when (genesys-protocol 2.1). Used for `organizations/me`,
//! `users/me?expand=station` and `stations/{id}` only.

use super::RestError;
use std::time::Duration;

/// Attempts in total.
const MAX_ATTEMPTS: u32 = 10;
/// Wait between attempts when the answer names none; fixed, not exponential.
const WAIT: Duration = Duration::from_secs(15);

/// Counts the attempts of one request.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failed: u32,
}

impl Retry {
    /// After a failed attempt: how long to wait before the next one, or `None` to give up.
    pub(crate) fn after(&mut self, error: &RestError) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= MAX_ATTEMPTS {
            return None;
        }
        match error {
            // A named wait is kept whatever the status.
            RestError::Status {
                retry_after: Some(wait),
                ..
            } => Some(*wait),
            RestError::Status { status, .. } => {
                matches!(status, 408 | 413 | 429 | 500 | 502 | 503 | 504).then_some(WAIT)
            }
            RestError::Timeout { .. } | RestError::Network { .. } => Some(WAIT),
            RestError::Body { .. } | RestError::Token(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RestError, Retry};
    use std::time::Duration;

    fn status(status: u16, retry_after: Option<u64>) -> RestError {
        RestError::Status {
            request: "GET /users/me".to_owned(),
            status,
            code: None,
            message: None,
            correlation_id: None,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn the_table_of_section_2_1() {
        let network = RestError::Network {
            request: String::new(),
            detail: String::new(),
            tls: false,
        };
        let timeout = RestError::Timeout {
            request: String::new(),
            after: Duration::from_secs(30),
        };
        let body = RestError::Body {
            request: String::new(),
            detail: String::new(),
        };
        let mut cases = vec![
            (network, Some(15)),
            (timeout, Some(15)),
            (body, None),
            (status(401, None), None),
            (status(403, None), None),
            (status(404, None), None),
            (status(501, None), None),
            (status(429, Some(7)), Some(7)),
            (status(404, Some(3)), Some(3)),
            (status(503, Some(0)), Some(0)),
        ];
        for retried in [408, 413, 429, 500, 502, 503, 504] {
            cases.push((status(retried, None), Some(15)));
        }
        for (error, seconds) in cases {
            assert_eq!(
                Retry::default().after(&error),
                seconds.map(Duration::from_secs),
                "{error:?}"
            );
        }
    }

    #[test]
    fn the_tenth_attempt_is_the_last() {
        let mut retry = Retry::default();
        for _ in 0..9 {
            assert!(retry.after(&status(503, None)).is_some());
        }
        assert_eq!(retry.after(&status(503, None)), None);
    }
}
