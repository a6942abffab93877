//! Exchanges periods with a pair of sound devices and says how that went: for bringing up a board.
//!
//! ```text
//! cargo run --example duplex -- alsa:plughw:1 alsa:plughw:1 10
//! ```
//!
//! The arguments are capture device, playback device, and seconds. What is captured is played
//! back a period later, so that one hears oneself.

use std::error::Error;
use std::time::{Duration, Instant};

use offhook_hal::audio::{DuplexSpec, PERIOD, PERIOD_FRAMES, open};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [capture, playback, seconds] = arguments.as_slice() else {
        return Err("three arguments are needed: capture, playback, seconds".into());
    };
    let spec = DuplexSpec::new(capture.parse()?, playback.parse()?);
    let time = Duration::from_secs(seconds.parse()?);

    let mut device = open(&spec)?;
    println!("{:?}", device.format());
    device.start()?;
    let (mut heard, mut said) = ([0; PERIOD_FRAMES], [0; PERIOD_FRAMES]);
    let (mut periods, mut xruns, mut longest, mut peak) = (0_u32, 0, Duration::ZERO, 0_u16);
    let mut delays = (u32::MAX, 0, u32::MAX, 0);
    let begin = Instant::now();
    let mut last = begin;
    while last - begin < time {
        let report = device.exchange(&said, &mut heard)?;
        std::mem::swap(&mut heard, &mut said);
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
        periods += 1;
        xruns += report.xruns;
        peak = said
            .iter()
            .map(|sample| sample.unsigned_abs())
            .fold(peak, u16::max);
        let (capture, playback) = (report.capture_delay_frames, report.playback_delay_frames);
        delays = (
            delays.0.min(capture),
            delays.1.max(capture),
            delays.2.min(playback),
            delays.3.max(playback),
        );
    }
    device.stop();
    let expected = time.as_secs_f64() / PERIOD.as_secs_f64();
    println!(
        "periods         {periods} in {:.3} s (a right clock: {expected:.0})",
        (last - begin).as_secs_f64()
    );
    println!("xruns           {xruns}");
    println!("longest period  {:.1} ms", longest.as_secs_f64() * 1e3);
    println!("capture delay   {} to {} frames", delays.0, delays.1);
    println!("playback delay  {} to {} frames", delays.2, delays.3);
    println!("captured peak   {peak} of 32767");
    Ok(())
}
