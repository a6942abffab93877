//! Ten hours of one call, in virtual time, over one network after another.

use super::{Run, SineDecoder, payload};
use crate::audio::codec::Decode;
use crate::audio::ramp::ms;
use crate::audio::tests::measure::Random;

/// Conceals by going on with the sine, as a codec would with a voice: whatever clicks then is the buffer's.
#[derive(Default)]
struct GoesOn {
    sine: SineDecoder,
    at: i64,
}

impl Decode for GoesOn {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        self.sine.samples(payload)
    }
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize> {
        let samples = self.sine.decode(payload, out)?;
        self.at = self.sine.decoded.pop()? + samples as i64;
        Some(samples)
    }
    fn recover(&mut self, following: &[u8], out: &mut [f32]) -> bool {
        let recovered = self.sine.recover(following, out);
        if recovered {
            self.at += out.len() as i64;
        }
        recovered
    }
    fn carries_copy(&self, payload: &[u8]) -> bool {
        self.sine.carries_copy(payload)
    }
    fn conceal(&mut self, out: &mut [f32]) {
        super::sine_at(self.at, out);
        self.at += out.len() as i64;
    }
    fn reset(&mut self) {}
}

#[test]
fn ten_hours_without_a_growing_delay_or_a_click() {
    const HOUR_MS: usize = 3_600_000;
    let mut run = Run::with_decoder(GoesOn::default());
    let mut random = Random::new(11);
    let (mut sent_ms, mut n) = (0.0, 0usize);
    let mut last = 0.0f32;
    let (mut steps, mut hours) = (0u64, Vec::new());
    for hour in 0..10 {
        // Drift both ways, loss, jitter and a route that changes every twenty minutes.
        let ppm = [150.0, -150.0, 200.0, -200.0, 0.0][hour % 5];
        let loss = [0.0, 0.01, 0.05][hour % 3];
        let jitter = [1.0, 4.0][hour % 2];
        let end = (hour + 1) as f64 * HOUR_MS as f64;
        while sent_ms < end {
            let route = [0.0, 30.0, 10.0][n / 60_000 % 3];
            if random.uniform() >= loss {
                run.arrive(sent_ms + route + random.exponential(jitter), |packet| {
                    packet.sequence = n as u16;
                    packet.timestamp = (n * 960) as u32;
                    packet.payload = payload((n * 960) as i64, 960, loss > 0.02);
                });
            }
            sent_ms += 20.0 / (1.0 + ppm * 1e-6);
            n += 1;
            run.play(sent_ms);
            for &sample in &run.played {
                steps += u64::from((sample - last).abs() > 0.06);
                last = sample;
            }
            run.played.clear();
        }
        let mean = run.delays.iter().sum::<f64>() / run.delays.len() as f64;
        hours.push(mean);
        run.delays.clear();
        run.played_timestamps.clear();
    }
    let counters = *run.jitter.counters();
    println!("mean delay by the hour: {hours:.1?} ms; {steps} steps; {counters:?}");
    // A sine of 300 Hz moves by 0.02 from sample to sample.
    assert_eq!(steps, 0);
    assert!(hours.iter().all(|&mean| mean < 50.0), "{hours:?}");
    // The same network at the beginning and near the end: drift and loss have left nothing behind.
    assert!((hours[0] - hours[6]).abs() < 25.0, "{hours:?}");
    assert!(run.jitter.pcm.len() < ms(30));
}
