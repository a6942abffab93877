//! What the emulated phone's ear hears, and what is said into its mouth.

use super::power::connect;
use crate::ear::{RATE_HZ, Recording};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

/// What the ear remembers, frames: 4 s.
const REMEMBERED: usize = 4 * RATE_HZ;

/// Both ends; they follow the machine through its restarts, until dropped.
pub struct Sound {
    ear: Arc<Mutex<VecDeque<i16>>>,
    /// What the mouth says, Hz; 0 is silence.
    voice: Arc<Mutex<f32>>,
    tasks: [JoinHandle<()>; 2],
}

impl Sound {
    /// On QEMU's sockets of that name.
    pub fn start(ear_at: PathBuf, mouth_at: PathBuf) -> Self {
        let (ear, voice) = (Arc::default(), Arc::default());
        let tasks = [
            tokio::spawn(listen(ear_at, Arc::clone(&ear))),
            tokio::spawn(speak(mouth_at, Arc::clone(&voice))),
        ];
        Self { ear, voice, tasks }
    }

    /// Says a tone from now on; 0 Hz is silence.
    pub fn say(&self, hz: f32) {
        *self.voice.lock().unwrap_or_else(PoisonError::into_inner) = hz;
    }

    /// Forgets what was heard.
    pub fn forget(&self) {
        lock(&self.ear).clear();
    }

    /// What was heard last, 4 s of it.
    pub fn heard(&self) -> Recording {
        Recording(lock(&self.ear).iter().copied().collect())
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn lock(ear: &Mutex<VecDeque<i16>>) -> MutexGuard<'_, VecDeque<i16>> {
    ear.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(socket: PathBuf, ear: Arc<Mutex<VecDeque<i16>>>) {
    loop {
        let mut stream = BufReader::new(connect(&socket).await);
        while let Ok(sample) = stream.read_i16_le().await {
            let mut ear = lock(&ear);
            ear.push_back(sample);
            if ear.len() > REMEMBERED {
                ear.pop_front();
            }
        }
    }
}

async fn speak(socket: PathBuf, voice: Arc<Mutex<f32>>) {
    let mut phase = 0.0_f32;
    loop {
        let mut stream = connect(&socket).await;
        // The guest takes them at its sound card's pace.
        while stream.write_all(&tone(&voice, &mut phase)).await.is_ok() {}
    }
}

/// 10 ms of what the mouth says now.
fn tone(voice: &Mutex<f32>, phase: &mut f32) -> Vec<u8> {
    let hz = *voice.lock().unwrap_or_else(PoisonError::into_inner);
    let level = if hz > 0.0 { 6_000.0 } else { 0.0 };
    let mut bytes = Vec::with_capacity(960);
    for _ in 0..480 {
        *phase = (*phase + hz / RATE_HZ as f32).fract();
        let sample = ((*phase * std::f32::consts::TAU).sin() * level) as i16;
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    bytes
}
