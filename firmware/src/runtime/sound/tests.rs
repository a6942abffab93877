mod paths;

use super::*;
use crate::audio::Tone;
use offhook_hal::audio::{Direction, ManualAudio, Period, PeriodReport, StreamFormat};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A phone each of whose paths plays into a file of its own.
fn sound(dir: &Path) -> (Sound, mpsc::Receiver<Wake>) {
    let mut board = Board::builtin("desktop").unwrap();
    board.audio.handset.sidetone_db = Some(-20.0);
    let path = |name: &str| offhook_board::AudioPath {
        playback: PlaybackSpec::Wav(dir.join(name)),
        ..board.audio.handset.clone()
    };
    let (handset, speaker, headset) = (path("ear.wav"), path("desk.wav"), path("usb/head.wav"));
    board.audio.handset = handset;
    board.audio.speaker = Some(speaker);
    board.audio.headset = Some(headset);
    let (wake, woken) = mpsc::channel(16);
    let (sound, _ports) = Sound::new(&Config::default(), &board, wake).unwrap();
    (sound, woken)
}

/// Until it was, the driver was asked for 480 frames whatever the board said.
#[test]
fn a_card_is_asked_for_the_boards_period_and_buffer() {
    let mut board = Board::builtin("desktop").unwrap();
    (
        board.audio.handset.period_frames,
        board.audio.handset.buffer_frames,
    ) = (1024, 9600);
    let spec = specs(&Config::default(), &board, AudioPath::Handset);
    assert_eq!((spec.period_frames, spec.buffer_frames), (1024, 9600));
}

/// Until sound runs; on which path, and whether there was trouble before.
async fn settled(sound: &mut Sound, woken: &mut mpsc::Receiver<Wake>) -> (AudioPath, bool) {
    let mut trouble = false;
    loop {
        if let State::Running(_, path) = sound.state {
            return (path, trouble);
        }
        match woken.recv().await {
            Some(Wake::Sound(event)) => {
                trouble |= matches!(sound.handle(event), Outcome::Trouble(_));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Without the path in the event, the first device that is open is taken for the path wanted meanwhile.
#[tokio::test]
async fn the_path_wanted_last_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("usb")).unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    sound.switch(AudioPath::Speaker);
    let speaker = (AudioPath::Speaker, false);
    assert_eq!(settled(&mut sound, &mut woken).await, speaker);
    // There and back before the device is open.
    sound.switch(AudioPath::Headset);
    sound.switch(AudioPath::Speaker);
    assert_eq!(settled(&mut sound, &mut woken).await, speaker);
    sound.switch(AudioPath::Headset);
    sound.switch(AudioPath::Handset);
    let handset = (AudioPath::Handset, false);
    assert_eq!(settled(&mut sound, &mut woken).await, handset);
    sound.stop();
}

#[tokio::test]
async fn sound_goes_on_until_the_next_device_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    settled(&mut sound, &mut woken).await;
    sound.switch(AudioPath::Speaker);
    let Some(Wake::Sound(event)) = woken.recv().await else {
        panic!("nothing was opened");
    };
    assert!(matches!(
        event,
        SoundEvent::Opened(AudioPath::Speaker, Ok(_))
    ));
    let before = sound.counters().periods;
    while sound.counters().periods < before + 2 {
        tokio::task::yield_now().await;
    }
    sound.handle(event);
    let speaker = (AudioPath::Speaker, false);
    assert_eq!(settled(&mut sound, &mut woken).await, speaker);
    sound.stop();
}

/// While the next path's volume counted at once, a headset that was set low shouted into the ear until the loudspeaker was
/// open.
#[tokio::test]
async fn the_device_that_is_left_gets_no_louder() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    sound.send(AudioCommand::Volume(20));
    settled(&mut sound, &mut woken).await;
    sound.switch(AudioPath::Speaker);
    sound.send(AudioCommand::Volume(90));
    assert!(matches!(sound.state, State::Leaving(..)));
    assert_eq!(sound.own_volume, 20);
    settled(&mut sound, &mut woken).await;
    assert_eq!(sound.own_volume, 90);
    // There and back before the other device is open: the one that plays on is the path's own again.
    sound.switch(AudioPath::Handset);
    sound.send(AudioCommand::Volume(5));
    assert_eq!(sound.own_volume, 5, "softer at once");
    sound.switch(AudioPath::Speaker);
    sound.send(AudioCommand::Volume(90));
    settled(&mut sound, &mut woken).await;
    assert_eq!(sound.own_volume, 90);
    sound.stop();
}

/// Nobody took commands while there was no device. From the 65th on they were lost: it rang on, or the microphone was open
/// though the phone was muted.
#[tokio::test]
async fn no_command_is_lost_while_there_is_no_device() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, _woken) = sound(dir.path());
    for _ in 0..200 {
        sound.send(AudioCommand::Mute(true));
    }
    sound.send(AudioCommand::Listen(true));
    sound.send(AudioCommand::Tone(Some(Tone::Dial)));
    let State::Closed(engine) = &mut sound.state else {
        panic!("nothing was opened");
    };
    engine.obey();
    assert!(!engine.is_idle(), "the dial tone is not played");
}

/// The next try was up to 3 s away, and the other path's device was not even looked at.
#[tokio::test]
async fn a_path_whose_device_is_there_is_taken_at_once_when_the_other_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.switch(AudioPath::Headset);
    while !matches!(sound.state, State::Closed(_)) {
        let Some(Wake::Sound(event)) = woken.recv().await else {
            panic!("the headset is not looked for");
        };
        sound.handle(event);
    }
    sound.switch(AudioPath::Speaker);
    assert!(matches!(sound.state, State::Opening(_)));
    let speaker = (AudioPath::Speaker, false);
    assert_eq!(settled(&mut sound, &mut woken).await, speaker);
    sound.stop();
}

/// Whether the device of a path plays what it captures, also while it is left for another path.
async fn has_sidetone(here: AudioPath, then: AudioPath) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    passed_over(&mut woken).await;
    sound.switch(here);
    let (device, tape) = ManualAudio::new();
    sound.handle(SoundEvent::Opened(here, Ok(Box::new(device))));
    sound.send(AudioCommand::Microphone { stream: Some(0) });
    sound.send(AudioCommand::Listen(true));
    sound.switch(then);
    let loud = |n: i16| if n / 24 % 2 == 0 { 8000 } else { -8000 };
    let periods = async |sound: &Sound, many: u64| {
        let before = sound.counters().periods;
        while sound.counters().periods < before + many {
            tokio::task::yield_now().await;
        }
    };
    // Until what the path before had has faded.
    periods(&sound, 5).await;
    tape.take_played();
    tape.feed(&(0..24_000).map(loud).collect::<Vec<i16>>());
    periods(&sound, 40).await;
    let played = tape.take_played();
    sound.stop();
    played.iter().any(|sample| sample.unsigned_abs() > 100)
}

/// Told at once of the path that is taken, as it was, the loudspeaker that was being left played the handset's sidetone,
/// and its echo was not cancelled any more.
#[tokio::test]
async fn the_device_that_is_left_is_handled_as_its_path_to_the_end() {
    assert!(has_sidetone(AudioPath::Handset, AudioPath::Handset).await);
    assert!(!has_sidetone(AudioPath::Speaker, AudioPath::Handset).await);
}

/// Thrown away, as it was, the 20 to 40 ms that are queued are missing in the word beside what the change itself takes.
#[tokio::test]
async fn the_device_that_is_left_plays_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    let (ear, ear_tape) = ManualAudio::new();
    // A phone that has nothing to play stops its device, here after no time at all.
    sound.send(AudioCommand::Listen(true));
    sound.send(AudioCommand::Tone(Some(Tone::Dial)));
    let opened = SoundEvent::Opened(AudioPath::Handset, Ok(Box::new(ear)));
    assert!(matches!(sound.handle(opened), Outcome::Running));
    while sound.counters().periods == 0 {
        tokio::task::yield_now().await;
    }
    sound.switch(AudioPath::Speaker);
    let (desk, desk_tape) = ManualAudio::new();
    sound.handle(SoundEvent::Opened(AudioPath::Speaker, Ok(Box::new(desk))));
    let ended = loop {
        match woken.recv().await {
            Some(Wake::Sound(ended @ SoundEvent::Ended(_))) => break ended,
            // The files that were opened as well.
            Some(Wake::Sound(SoundEvent::Opened(..))) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(ear_tape.is_started() && !desk_tape.is_started());
    assert!(matches!(sound.handle(ended), Outcome::Running));
    while ear_tape.is_started() || !desk_tape.is_started() {
        tokio::task::yield_now().await;
    }
    sound.stop();
}

#[tokio::test(start_paused = true)]
async fn a_headset_that_is_not_there_is_used_when_it_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    settled(&mut sound, &mut woken).await;
    sound.switch(AudioPath::Headset);
    // It is tried again and again.
    for _ in 0..2 {
        while !matches!(sound.state, State::Closed(_)) {
            let Some(Wake::Sound(event)) = woken.recv().await else {
                panic!("nobody tries");
            };
            sound.handle(event);
        }
        let Some(Wake::Sound(event @ SoundEvent::Retry)) = woken.recv().await else {
            panic!("nobody tries again");
        };
        sound.handle(event);
    }
    // Plugged in.
    std::fs::create_dir(dir.path().join("usb")).unwrap();
    let (path, _) = settled(&mut sound, &mut woken).await;
    assert_eq!(path, AudioPath::Headset);
    sound.stop();
}

/// Through the ear's own element, an ear turned down silences the ring, and the speaker is heard beside the handset.
#[tokio::test]
async fn each_path_has_its_element_and_the_ring_none_of_the_ears() {
    use AudioCommand::{Listen, Ring, RingVolume, Volume};
    let board = Board::builtin("rpi-4b").unwrap();
    let (wake, _woken) = mpsc::channel(16);
    let (mut sound, _ports) = Sound::new(&Config::default(), &board, wake.clone()).unwrap();
    let (card, written) = std::sync::mpsc::channel();
    let set = move |control: &offhook_hal::audio::MixerControl, percent| {
        let _ = card.send(format!("{} {percent}", control.element));
        Ok(())
    };
    let elements = PATHS.map(|path| PathLevels::of(path_of(&board, path)));
    sound.levels = Levels::set_by(set, |_| Ok(()), elements, wake);
    let mut step = |act: &dyn Fn(&mut Sound), expected: &[&str]| {
        act(&mut sound);
        for expected in expected {
            let next = written.recv_timeout(Duration::from_secs(10));
            assert_eq!(next.as_deref(), Ok(*expected));
        }
    };
    // At the start, and an ear turned off.
    step(&|s| s.send(Volume(0)), &["Speaker 0", "Headphone 0"]);
    step(&|s| s.send(RingVolume(60)), &[]);
    step(&|s| s.send(Ring(true)), &["Headphone 0", "Speaker 100"]);
    step(&|s| s.send(Volume(70)), &["Headphone 0", "Speaker 100"]);
    // Answered at the handset.
    step(&|s| s.send(Ring(false)), &["Speaker 0", "Headphone 70"]);
    step(&|s| s.send(Listen(true)), &[]);
    // Taken to the speaker: its volume only, and not before the ear is off.
    step(
        &|s| s.switch(AudioPath::Speaker),
        &["Headphone 0", "Capture 50"],
    );
    step(&|s| s.send(Volume(60)), &["Headphone 0", "Speaker 60"]);
    // Rung beside a call, as when the ringer's own device is lost: not into the ear at full volume.
    step(&|s| s.send(Ring(true)), &["Headphone 0", "Speaker 60"]);
    step(&|s| s.send(Listen(false)), &["Headphone 0", "Speaker 100"]);
    step(&|s| s.send(Ring(false)), &["Headphone 0", "Speaker 60"]);
    drop(sound);
    assert!(written.recv().is_err(), "nothing else is written");
}

/// Switched on at the start only, a codec that was lost and is back is silent.
#[tokio::test(start_paused = true)]
async fn the_cards_switches_are_set_on_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    let board = Board::builtin("rpi-4b").unwrap();
    let elements = PATHS.map(|path| PathLevels::of(path_of(&board, path)));
    let (card, written) = std::sync::mpsc::channel();
    let switch_on = move |switch: &offhook_hal::audio::MixerSwitch| {
        let _ = card.send(switch.control.to_string());
        Ok(())
    };
    sound.levels = Levels::set_by(|_, _| Ok(()), switch_on, elements, sound.wake.clone());
    let all_are_set = || {
        for expected in &board.audio.handset.switches {
            let next = written.recv_timeout(Duration::from_secs(10));
            assert_eq!(next.as_ref(), Ok(expected));
        }
        assert!(written.try_recv().is_err(), "once each");
    };
    sound.open();
    passed_over(&mut woken).await;
    let (ear, tape) = ManualAudio::new();
    let opened = SoundEvent::Opened(AudioPath::Handset, Ok(Box::new(ear)));
    assert!(matches!(sound.handle(opened), Outcome::Running));
    all_are_set();
    tape.unplug(AudioError::Lost {
        device: "hw:1".into(),
        direction: Direction::Playback,
        what: "playing",
        errno: 19,
    });
    let Some(Wake::Sound(ended @ SoundEvent::Ended(_))) = woken.recv().await else {
        panic!("nobody notices");
    };
    assert!(matches!(sound.handle(ended), Outcome::Trouble(_)));
    settled(&mut sound, &mut woken).await;
    all_are_set();
    sound.stop();
}

fn busy(path: AudioPath) -> SoundEvent {
    let error = AudioError::Busy {
        device: "hw:1".into(),
        direction: Direction::Playback,
    };
    SoundEvent::Opened(path, Err(error))
}

/// A device that says when it is closed.
struct Held(ManualAudio, Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

impl DuplexAudio for Held {
    fn start(&mut self) -> Result<(), AudioError> {
        self.0.start()
    }
    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError> {
        self.0.exchange(playback, capture)
    }
    fn stop(&mut self) {
        self.0.stop();
    }
    fn format(&self) -> &StreamFormat {
        self.0.format()
    }
}

/// The file that the phone opens is not the device that the test gives it.
async fn passed_over(woken: &mut mpsc::Receiver<Wake>) {
    let event = woken.recv().await;
    assert!(
        matches!(event, Some(Wake::Sound(SoundEvent::Opened(_, Ok(_))))),
        "{event:?}"
    );
}

/// Two paths of one card: the second is busy until the phone itself has left the first.
#[tokio::test]
async fn a_device_that_is_busy_by_ourselves_is_opened_when_we_have_left_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    passed_over(&mut woken).await;
    let closed = Arc::new(AtomicBool::new(false));
    let ear = Held(ManualAudio::new().0, Arc::clone(&closed));
    sound.handle(SoundEvent::Opened(AudioPath::Handset, Ok(Box::new(ear))));
    sound.switch(AudioPath::Speaker);
    passed_over(&mut woken).await;
    let outcome = sound.handle(busy(AudioPath::Speaker));
    assert!(matches!(outcome, Outcome::Nothing), "nobody is told");
    while !matches!(sound.state, State::Running(..)) {
        let Some(Wake::Sound(event)) = woken.recv().await else {
            panic!("the speaker is not opened");
        };
        match &event {
            SoundEvent::Ended(_) => {}
            SoundEvent::Opened(path, Ok(_)) => {
                assert_eq!(*path, AudioPath::Speaker);
                assert!(closed.load(Ordering::SeqCst), "opened before it was free");
            }
            other => panic!("{other:?}"),
        }
        sound.handle(event);
    }
    sound.stop();
}

/// By another program: the user learns which, and it is taken when it is free.
#[tokio::test(start_paused = true)]
async fn a_device_that_another_program_holds_is_taken_when_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sound, mut woken) = sound(dir.path());
    sound.open();
    for _ in 0..3 {
        let Outcome::Trouble(notice) = sound.handle(busy(AudioPath::Handset)) else {
            panic!("nobody is told");
        };
        let device = "hw:1".to_owned();
        assert_eq!(notice, Notice::SoundBusy { device });
        loop {
            match woken.recv().await {
                Some(Wake::Sound(retry @ SoundEvent::Retry)) => {
                    sound.handle(retry);
                    break;
                }
                // Of the tries before: it is said to be busy instead.
                Some(Wake::Sound(SoundEvent::Opened(..))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let (path, trouble) = settled(&mut sound, &mut woken).await;
    assert_eq!((path, trouble), (AudioPath::Handset, false));
    sound.stop();
}

/// The figures of the echo canceller are measured with what the boards switch on; without this they could be others.
#[test]
fn every_boards_loudspeaker_is_the_one_that_is_measured() {
    for name in ["rpi-4b", "rpi-3b", "rpi-zero-2w", "rpi-5"] {
        let speaker = Board::builtin(name).unwrap().audio.speaker.unwrap();
        let measured = crate::audio::tests::echo::SPEAKERPHONE;
        assert_eq!(voice(&speaker), measured, "{name}");
    }
}

#[test]
fn what_a_board_says_of_its_sound_reaches_the_engine() {
    let mut board = Board::builtin("rpi-4b").unwrap();
    let path = board.audio.speaker.as_mut().unwrap();
    path.echo_cancelling = Some(offhook_board::EchoCancelling {
        extra_delay_ms: 40,
        gate_db: 12,
    });
    path.gain_control = Some(offhook_board::GainControl {
        headroom_db: 9,
        most_db: 6,
    });
    let tuned = VoiceConfig {
        echo_cancelling: Some(EchoCancelling {
            extra_delay_ms: 40,
            gate_db: 12,
        }),
        noise_suppression: NoiseSuppression::Moderate,
        gain_control: Some(GainControl {
            headroom_db: 9,
            most_db: 6,
        }),
    };
    assert_eq!(voice(path_of(&board, AudioPath::Speaker)), tuned);
    board.opus_complexity = 3;
    let mut config = Config::default();
    assert_eq!(opus(&config, &board).complexity, 3, "the board's");
    config.audio.opus_complexity = 0;
    assert_eq!(opus(&config, &board).complexity, 0, "the configuration's");
}
