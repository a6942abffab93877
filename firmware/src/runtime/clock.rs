//! The wall clock for the idle screen.

use super::Wake;
use std::time::Duration;
use tokio::sync::mpsc;

/// Tells the local time at once and at each new minute.
pub(super) fn start(wake: mpsc::Sender<Wake>) {
    tokio::spawn(async move {
        loop {
            let now = jiff::Zoned::now();
            if wake
                .send(Wake::Minute(now.strftime("%H:%M").to_string()))
                .await
                .is_err()
            {
                return;
            }
            let to_next_minute = 60 - u64::from(now.second().unsigned_abs());
            tokio::time::sleep(Duration::from_secs(to_next_minute.max(1))).await;
        }
    });
}
