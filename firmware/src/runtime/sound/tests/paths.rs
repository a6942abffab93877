//! The path is changed in the middle of a word, in virtual time: what is missed of it at the ear and at the microphone.
//!
//! A room with sound cards that take their time to be opened and closed. Its clock moves only while everybody waits for
//! it, so that what is measured is the phone's doing and not this machine's.

use super::*;
use crate::audio::{CodecKind, StreamPort};
use offhook_hal::audio::{CaptureSpec, PERIOD_FRAMES};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Samples at 48 kHz: the room's unit of time.
const MS: u64 = 48;
/// The most that may be missed.
const ALLOWED: u64 = 50 * MS;
/// Queued when a card is started, as `hal` does it.
const PRIMED: u64 = 2 * PERIOD_FRAMES as u64;
const STREAM: usize = 0;

/// Who waits for the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    /// The audio thread, for its next period.
    Thread,
    /// For a card to be opened.
    Opener,
    /// For a card that was left to have played its last, and be closed.
    Closer,
}

#[derive(Default)]
struct Clock {
    now: u64,
    /// Until when.
    waiting: Vec<(Who, u64)>,
    /// The test has ended: nobody waits any more.
    over: bool,
    /// Cards that are open.
    held: Vec<String>,
    /// What was heard in the room, of all cards.
    heard: Vec<i32>,
    /// From when to when a microphone was listened to.
    captured: Vec<(u64, u64)>,
}

/// How long the cards of a room take, samples.
#[derive(Clone, Copy)]
struct Slowness {
    opening: u64,
    closing: u64,
}

struct Room {
    clock: Mutex<Clock>,
    moved: Condvar,
    slowness: Slowness,
}

impl Room {
    fn look(&self) -> MutexGuard<'_, Clock> {
        // A test that fails must not abort all others from a card's `drop`.
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, who: Who, until: u64) {
        let mut clock = self.look();
        if clock.now < until {
            clock.waiting.push((who, until));
        }
        while clock.now < until && !clock.over {
            clock = self
                .moved
                .wait(clock)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Moves on to the next moment that somebody waits for, but not beyond `until`; false unless all of these wait.
    fn advance(&self, all: &[Who], until: u64) -> bool {
        let mut clock = self.look();
        let waits = |who| clock.waiting.iter().any(|(other, _)| other == who);
        if !all.iter().all(waits) {
            return false;
        }
        let next = clock.waiting.iter().map(|(_, at)| *at).min();
        clock.now = next.map_or(until, |next| next.min(until));
        let now = clock.now;
        clock.waiting.retain(|(_, at)| *at > now);
        self.moved.notify_all();
        true
    }

    /// Opens a card by the name of its device's file: up to the first dash. One that is open already is busy.
    fn open(self: &Arc<Self>, spec: &DuplexSpec) -> Result<Box<dyn DuplexAudio>, AudioError> {
        let device = spec.playback.to_string();
        let file = Path::new(&device).file_name().unwrap().to_str().unwrap();
        let name = file.split('-').next().unwrap().to_owned();
        let now = {
            let mut clock = self.look();
            if clock.held.contains(&name) {
                return Err(AudioError::Busy {
                    device: name.into(),
                    direction: Direction::Playback,
                });
            }
            clock.held.push(name.clone());
            clock.now
        };
        self.wait(Who::Opener, now + self.slowness.opening);
        Ok(Box::new(Card {
            room: Arc::clone(self),
            name,
            format: ManualAudio::new().0.format().clone(),
            started: None,
            captured: 0,
            written: 0,
            finished: false,
        }))
    }
}

/// A card: it plays from its start on, captures from its start on, and gives periods away when they are full.
struct Card {
    room: Arc<Room>,
    name: String,
    format: StreamFormat,
    started: Option<u64>,
    captured: u64,
    written: u64,
    finished: bool,
}

impl DuplexAudio for Card {
    fn start(&mut self) -> Result<(), AudioError> {
        self.started = Some(self.room.look().now);
        (self.captured, self.written) = (0, PRIMED);
        Ok(())
    }

    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError> {
        let started = self.started.ok_or(AudioError::NotStarted)?;
        let period = PERIOD_FRAMES as u64;
        let (from, to) = (started + self.captured, started + self.captured + period);
        self.room.wait(Who::Thread, to);
        self.captured += period;
        let mut clock = self.room.look();
        clock.captured.push((from, to));
        for (at, sample) in (from..to).zip(capture) {
            *sample = word(at);
        }
        let place = (started + self.written) as usize;
        assert!(clock.over || place as u64 >= clock.now, "an underrun");
        if clock.heard.len() < place + PERIOD_FRAMES {
            clock.heard.resize(place + PERIOD_FRAMES, 0);
        }
        for (to, &sample) in clock.heard[place..].iter_mut().zip(playback) {
            *to += i32::from(sample);
        }
        self.written += period;
        Ok(PeriodReport::default())
    }

    fn stop(&mut self) {
        self.started = None;
    }

    fn finish(&mut self) {
        if let Some(started) = self.started {
            self.room.wait(Who::Closer, started + self.written);
        }
        self.finished = true;
        self.stop();
    }

    fn format(&self) -> &StreamFormat {
        &self.format
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // One that is closed so that another device of the same card can be opened.
        let who = if self.finished {
            Who::Closer
        } else {
            Who::Opener
        };
        let now = {
            let mut clock = self.room.look();
            // What is queued is never heard. Nobody else plays then: the next card waits for this one.
            let now = clock.now;
            if !self.finished {
                clock.heard.truncate(now as usize);
            }
            now
        };
        self.room.wait(who, now + self.room.slowness.closing);
        let mut clock = self.room.look();
        let held = clock.held.iter().position(|name| *name == self.name);
        clock.held.remove(held.unwrap());
    }
}

/// What is said in the room: a loud tone without a pause.
fn word(at: u64) -> i16 {
    let turns = (at % 480) as f64 / 480.0 * 7.0;
    (8000.0 * (turns * std::f64::consts::TAU).sin()) as i16
}

/// A phone in such a room.
struct Talk {
    room: Arc<Room>,
    sound: Sound,
    woken: mpsc::Receiver<Wake>,
    ports: Vec<StreamPort>,
    /// When each frame was there to be sent, and its bytes.
    sent: Vec<(u64, Vec<u8>)>,
    _dir: tempfile::TempDir,
}

impl Talk {
    /// The files of the three paths' devices.
    fn new(devices: [&str; 3], slowness: Slowness) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut board = Board::builtin("desktop").unwrap();
        let path = |name: &str| offhook_board::AudioPath {
            capture: CaptureSpec::Silence,
            playback: PlaybackSpec::Wav(dir.path().join(name)),
            ..board.audio.handset.clone()
        };
        let [handset, speaker, headset] = devices.map(path);
        board.audio.handset = handset;
        board.audio.speaker = Some(speaker);
        board.audio.headset = Some(headset);
        let (wake, woken) = mpsc::channel(64);
        let (mut sound, ports) = Sound::new(&Config::default(), &board, wake).unwrap();
        let room = Arc::new(Room {
            clock: Mutex::default(),
            moved: Condvar::new(),
            slowness,
        });
        let cards = Arc::clone(&room);
        sound.opener = Arc::new(move |spec| cards.open(spec));
        for command in [
            AudioCommand::Listen(true),
            AudioCommand::Tone(Some(Tone::Dial)),
            AudioCommand::StartStream {
                stream: STREAM,
                codec: CodecKind::Pcmu,
                frame_ms: 20,
            },
            AudioCommand::Microphone {
                stream: Some(STREAM),
            },
        ] {
            sound.send(command);
        }
        sound.open();
        Self {
            room,
            sound,
            woken,
            ports,
            sent: Vec::new(),
            _dir: dir,
        }
    }

    /// Until the room's clock says so.
    async fn go_on(&mut self, until: u64) {
        loop {
            while let Ok(wake) = self.woken.try_recv() {
                let Wake::Sound(event) = wake else {
                    panic!("{wake:?}");
                };
                let outcome = self.sound.handle(event);
                assert!(!matches!(outcome, Outcome::Trouble(_)), "no sound");
            }
            // Whom the clock waits for. Who is not among those that wait for it is about to, or has an event for us.
            let all: &[Who] = match &self.sound.state {
                State::Opening(_) => &[Who::Opener],
                State::Running(..) | State::Switching { .. } => &[Who::Thread],
                State::Leaving(..) => &[Who::Thread, Who::Opener],
                State::Closed(_) | State::Stopped => panic!("no sound"),
            };
            if !self.room.advance(all, until) {
                tokio::task::yield_now().await;
                continue;
            }
            let now = self.room.look().now;
            let port = self.ports.iter_mut().find(|port| port.stream == STREAM);
            let queue = &mut port.unwrap().outbound;
            while let Some(frame) = queue.dequeue() {
                self.sent.push((now, frame.payload.to_vec()));
            }
            if now == until {
                return;
            }
        }
    }

    /// Takes another path with its volume, as the phone does.
    fn switch(&mut self, path: AudioPath) {
        self.sound.switch(path);
        self.sound.send(AudioCommand::Volume(90));
    }

    /// Hangs up; the longest silence at the ear, the longest time that no microphone was listened to, the longest
    /// silence that was sent, and the longest time between two frames, samples.
    fn end(mut self, from: u64, to: u64) -> [u64; 4] {
        let mut clock = self.room.look();
        clock.over = true;
        self.room.moved.notify_all();
        let heard = &clock.heard[from as usize..to as usize];
        // The two tones of the dial tone cancel each other out for some milliseconds.
        let silence = longest(heard.chunks_exact(MS as usize), |ms| {
            ms.iter().all(|sample| sample.abs() < 500)
        }) * MS;
        let mut unheard = 0;
        let mut until = from;
        let mut captured = std::mem::take(&mut clock.captured);
        captured.sort_unstable();
        for (start, end) in captured.into_iter().filter(|(_, end)| *end > from) {
            unheard = unheard.max(start.saturating_sub(until));
            until = until.max(end);
        }
        unheard = unheard.max(to.saturating_sub(until));
        drop(clock);
        let sent = self.sent.iter().filter(|(at, _)| (from..to).contains(at));
        let bytes: Vec<u8> = sent.clone().flat_map(|(_, bytes)| bytes.clone()).collect();
        // mu-law's two zeros; six samples at 48 kHz are one at 8.
        let unsaid = longest(bytes.iter(), |byte| matches!(byte, 0x7f | 0xff)) * 6;
        let times: Vec<u64> = sent.map(|(at, _)| *at).collect();
        let between = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        self.sound.stop();
        [silence, unheard, unsaid, between.unwrap()]
    }
}

/// How many in a row, at most.
fn longest<T>(all: impl Iterator<Item = T>, is: impl Fn(T) -> bool) -> u64 {
    let (mut most, mut run) = (0, 0);
    for one in all {
        run = if is(one) { run + 1 } else { 0 };
        most = most.max(run);
    }
    most
}

/// Handset, speaker, headset and back, `phase` after a period began.
async fn change_paths(devices: [&str; 3], slowness: Slowness, phase: u64) -> [u64; 4] {
    let mut talk = Talk::new(devices, slowness);
    let mut now = 1000 * MS;
    talk.go_on(now).await;
    for path in [AudioPath::Speaker, AudioPath::Headset, AudioPath::Handset] {
        now += phase;
        talk.go_on(now).await;
        talk.switch(path);
        now += 700 * MS;
        talk.go_on(now).await;
        assert!(matches!(talk.sound.state, State::Running(_, at) if at == path));
    }
    talk.end(500 * MS, now)
}

/// Were the device in use left before the next one is open, all that its opening takes would be missing. And a period that
/// was made for the device that is left was neither played there nor on the next one: 10 ms of silence more.
#[tokio::test]
async fn a_word_goes_on_when_the_path_changes() {
    let cards = ["ear-0.wav", "desk-0.wav", "head-0.wav"];
    let mut worst = [0; 4];
    for opening in [2 * MS, 20 * MS, 300 * MS] {
        let slowness = Slowness {
            opening,
            closing: 5 * MS,
        };
        for phase in [0, 4, 9] {
            let missed = change_paths(cards, slowness, phase * MS + 7).await;
            worst = std::array::from_fn(|n| worst[n].max(missed[n]));
        }
    }
    report(worst);
}

/// The card has to be closed before it can be opened for the other path: what that takes is missing, and no more than it.
#[tokio::test]
async fn a_word_goes_on_when_both_paths_are_on_one_card() {
    let devices = ["card-0.wav", "card-1.wav", "card-2.wav"];
    let slowness = Slowness {
        opening: 20 * MS,
        closing: 5 * MS,
    };
    let mut worst = [0; 4];
    for phase in 0..10 {
        let missed = change_paths(devices, slowness, phase * MS + 7).await;
        worst = std::array::from_fn(|n| worst[n].max(missed[n]));
    }
    report(worst);
}

fn report([silence, unheard, unsaid, between]: [u64; 4]) {
    let ms = |samples: u64| samples as f64 / MS as f64;
    println!(
        "at the ear {:.1} ms, at the microphone {:.1} ms; sent are {:.1} ms of silence, and frames {:.1} ms apart",
        ms(silence),
        ms(unheard),
        ms(unsaid),
        ms(between)
    );
    assert!(silence <= ALLOWED && unheard <= ALLOWED && unsaid <= ALLOWED);
    assert!(between <= 20 * MS + ALLOWED, "frames of 20 ms");
}
