//! A board without hardware: a panel that a page, a test or a person at another program works.
//!
//! Keys and hook go through the same logic as real contacts do after debouncing, so that long
//! presses, flashes and stuck keys are the same; the lamps and the display keep what was shown
//! last, to be looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedded_graphics::geometry::{OriginDimensions, Size};

use crate::hook::{FlashWindow, Hook, HookTiming};
use crate::input::earliest;
use crate::keypad::{KeyTiming, Keys};
use crate::{
    Display, DisplayError, Framebuffer, HalEvent, HookState, Key, Lamp, LampError, LampState, Lamps,
};

/// What a virtual panel has.
#[derive(Debug, Clone)]
pub struct PanelConfig {
    /// Size of the display in pixels.
    pub display: Size,
    /// The lamps it has.
    pub lamps: Vec<Lamp>,
    /// Long press and stuck key.
    pub keys: KeyTiming,
    /// Whether tapping the cradle is a flash.
    pub flash: Option<FlashWindow>,
}

impl Default for PanelConfig {
    /// A display of 320 x 240 pixels, every lamp, no flash.
    fn default() -> Self {
        Self {
            display: Size::new(320, 240),
            lamps: Lamp::ALL.to_vec(),
            keys: KeyTiming::default(),
            flash: None,
        }
    }
}

/// The handle by which others work the panel: press, lift, look. Clones work the same panel.
///
/// No call waits for anything but other calls' few microseconds, so that async code may use it.
/// Events caused by a call are told before it returns, in the order of the calls; long presses and
/// the end of a flash window are told by a thread of the panel's own, which ends with the last handle.
#[derive(Clone)]
pub struct VirtualPanel {
    shared: Arc<Shared>,
    /// Ends the timer thread when the last handle goes.
    _timer: Arc<TimerGuard>,
}

impl VirtualPanel {
    /// A panel whose events go to `sink`.
    ///
    /// `sink` is called with the panel's lock held, which keeps the events in order: it should put
    /// the event into a queue, and must not call the panel.
    pub fn new(
        config: &PanelConfig,
        sink: impl Fn(HalEvent) + Send + Sync + 'static,
    ) -> Result<Self, DisplayError> {
        let hook = HookTiming {
            debounce: Duration::ZERO,
            flash: config.flash,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                keys: Keys::new(config.keys),
                hook: Hook::new(hook),
                handset: HookState::Resting,
                lamps: config
                    .lamps
                    .iter()
                    .map(|lamp| (*lamp, LampState::Off))
                    .collect(),
                frame: Framebuffer::new(config.display)?,
                frames_shown: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            sink: Box::new(sink),
        });
        let timer = Arc::clone(&shared);
        // Without the thread the panel still works, but for long presses.
        let spawned = std::thread::Builder::new()
            .name("offhook-panel".into())
            .stack_size(128 * 1024)
            .spawn(move || timer.run_timer());
        if let Err(error) = spawned {
            tracing::error!(%error, "the virtual panel has no timer thread: no long presses");
        }
        Ok(Self {
            _timer: Arc::new(TimerGuard(Arc::clone(&shared))),
            shared,
        })
    }

    /// Presses `key` and keeps it down.
    pub fn press(&self, key: Key) {
        self.shared
            .input(|state, now, emit| state.keys.press(key, now, emit));
    }

    /// Lets `key` up.
    pub fn release(&self, key: Key) {
        self.shared
            .input(|state, now, emit| state.keys.release(key, now, emit));
    }

    /// Presses `key` and lets it up at once.
    pub fn tap(&self, key: Key) {
        self.shared.input(|state, now, emit| {
            state.keys.press(key, now, emit);
            state.keys.release(key, now, emit);
        });
    }

    /// Lifts the handset or lays it down.
    pub fn set_hook(&self, handset: HookState) {
        self.shared.input(|state, now, emit| {
            state.handset = handset;
            state.hook.update(handset, now, emit);
        });
    }

    /// Where the handset is now.
    pub fn hook(&self) -> HookState {
        self.shared.lock().handset
    }

    /// The keys that are down, in the order they went down.
    pub fn held(&self) -> Vec<Key> {
        self.shared.lock().keys.held().collect()
    }

    /// What each lamp shows.
    pub fn lamps(&self) -> BTreeMap<Lamp, LampState> {
        self.shared.lock().lamps.clone()
    }

    /// What the display shows.
    pub fn frame(&self) -> Framebuffer {
        self.shared.lock().frame.clone()
    }

    /// How many frames the display has been given; changes when [`VirtualPanel::frame`] may have.
    pub fn frames_shown(&self) -> u64 {
        self.shared.lock().frames_shown
    }

    /// The panel's lamps, for the phone.
    pub fn lamp_driver(&self) -> VirtualLamps {
        VirtualLamps(self.clone())
    }

    /// The panel's display, for the phone.
    pub fn display_driver(&self) -> VirtualDisplay {
        VirtualDisplay {
            size: self.shared.lock().frame.size(),
            panel: self.clone(),
        }
    }
}

impl fmt::Debug for VirtualPanel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("VirtualPanel")
            .field("handset", &state.handset)
            .field("lamps", &state.lamps)
            .finish_non_exhaustive()
    }
}

/// The lamps of a [`VirtualPanel`].
#[derive(Debug, Clone)]
pub struct VirtualLamps(VirtualPanel);

impl Lamps for VirtualLamps {
    fn set(&mut self, lamp: Lamp, state: LampState) -> Result<(), LampError> {
        if let Some(shown) = self.0.shared.lock().lamps.get_mut(&lamp) {
            *shown = state;
        }
        Ok(())
    }
}

/// The display of a [`VirtualPanel`].
#[derive(Debug, Clone)]
pub struct VirtualDisplay {
    size: Size,
    panel: VirtualPanel,
}

impl Display for VirtualDisplay {
    fn size(&self) -> Size {
        self.size
    }

    fn show(&mut self, frame: &Framebuffer) -> Result<(), DisplayError> {
        if frame.size() != self.size {
            return Err(DisplayError::Mismatch {
                frame: frame.size(),
                display: self.size,
            });
        }
        let mut state = self.panel.shared.lock();
        state.frame.clone_from(frame);
        state.frames_shown += 1;
        Ok(())
    }
}

struct Shared {
    state: Mutex<State>,
    /// A deadline may have changed.
    changed: Condvar,
    sink: Box<dyn Fn(HalEvent) + Send + Sync>,
}

struct State {
    keys: Keys,
    hook: Hook,
    /// Where the handset is, which the hook may yet have to tell.
    handset: HookState,
    lamps: BTreeMap<Lamp, LampState>,
    frame: Framebuffer,
    frames_shown: u64,
    closed: bool,
}

impl Shared {
    /// A panic of another thread leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn input(&self, act: impl FnOnce(&mut State, Instant, &mut dyn FnMut(HalEvent))) {
        let mut state = self.lock();
        act(&mut state, Instant::now(), &mut |event| (self.sink)(event));
        drop(state);
        self.changed.notify_one();
    }

    fn run_timer(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let emit = &mut |event| (self.sink)(event);
            state.keys.advance(now, emit);
            let handset = state.handset;
            state.hook.update(handset, now, emit);
            let deadline = earliest(state.keys.next_deadline(), state.hook.next_deadline());
            state = match deadline {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let wait = deadline.saturating_duration_since(Instant::now());
                    self.changed
                        .wait_timeout(state, wait)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

struct TimerGuard(Arc<Shared>);

impl Drop for TimerGuard {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use embedded_graphics::draw_target::DrawTarget;
    use embedded_graphics::pixelcolor::{Rgb565, RgbColor};

    use super::*;
    use crate::KeyAction::{LongPressed, Pressed, Released};

    /// More than any thread is late.
    const SOON: Duration = Duration::from_secs(20);

    fn panel(config: &PanelConfig) -> (VirtualPanel, Receiver<HalEvent>) {
        let (sender, events) = channel();
        let panel = VirtualPanel::new(config, move |event| {
            let _ = sender.send(event);
        });
        (panel.unwrap(), events)
    }

    #[test]
    fn events_are_told_before_the_call_returns() {
        let (panel, events) = panel(&PanelConfig::default());
        panel.set_hook(HookState::Lifted);
        panel.tap(Key::Digit(5));
        panel.press(Key::Mute);
        panel.press(Key::Mute);
        assert_eq!(
            (panel.hook(), panel.held()),
            (HookState::Lifted, vec![Key::Mute])
        );
        panel.release(Key::Mute);
        panel.release(Key::Mute);
        panel.set_hook(HookState::Resting);
        let key = |key, action| HalEvent::Key { key, action };
        assert_eq!(
            events.try_iter().collect::<Vec<_>>(),
            [
                HalEvent::Hook(HookState::Lifted),
                key(Key::Digit(5), Pressed),
                key(Key::Digit(5), Released),
                key(Key::Mute, Pressed),
                key(Key::Mute, Released),
                HalEvent::Hook(HookState::Resting),
            ]
        );
    }

    #[test]
    fn a_held_key_becomes_a_long_press_by_itself() {
        let keys = KeyTiming {
            long_press: Duration::from_millis(20),
            ..KeyTiming::default()
        };
        let (panel, events) = panel(&PanelConfig {
            keys,
            ..PanelConfig::default()
        });
        let begin = Instant::now();
        panel.press(Key::Hash);
        let next = || events.recv_timeout(SOON).unwrap();
        assert_eq!(
            next(),
            HalEvent::Key {
                key: Key::Hash,
                action: Pressed
            }
        );
        assert_eq!(
            next(),
            HalEvent::Key {
                key: Key::Hash,
                action: LongPressed
            }
        );
        assert!(begin.elapsed() >= Duration::from_millis(20));
        panel.release(Key::Hash);
        assert_eq!(
            next(),
            HalEvent::Key {
                key: Key::Hash,
                action: Released
            }
        );
    }

    #[test]
    fn a_flash_window_is_kept_by_the_panels_own_thread() {
        let flash = FlashWindow {
            min: Duration::ZERO,
            max: Duration::from_millis(50),
        };
        let (panel, events) = panel(&PanelConfig {
            flash: Some(flash),
            ..PanelConfig::default()
        });
        panel.set_hook(HookState::Lifted);
        assert_eq!(
            events.recv_timeout(SOON),
            Ok(HalEvent::Hook(HookState::Lifted))
        );
        let rested = Instant::now();
        panel.set_hook(HookState::Resting);
        assert_eq!(panel.hook(), HookState::Resting);
        assert_eq!(
            events.recv_timeout(SOON),
            Ok(HalEvent::Hook(HookState::Resting))
        );
        assert!(rested.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn lamps_and_display_keep_what_was_shown() {
        let config = PanelConfig {
            display: Size::new(128, 64),
            lamps: vec![Lamp::Message, Lamp::Line(1)],
            ..PanelConfig::default()
        };
        let (panel, _events) = panel(&config);
        let mut lamps = panel.lamp_driver();
        lamps.set(Lamp::Line(1), LampState::Fast).unwrap();
        lamps.set(Lamp::Mute, LampState::On).unwrap();
        let shown = panel.lamps();
        assert_eq!(
            shown.into_iter().collect::<Vec<_>>(),
            [
                (Lamp::Message, LampState::Off),
                (Lamp::Line(1), LampState::Fast)
            ]
        );
        let mut display = panel.display_driver();
        let mut frame = Framebuffer::new(display.size()).unwrap();
        let Ok(()) = frame.clear(Rgb565::GREEN);
        assert_eq!(panel.frames_shown(), 0);
        display.show(&frame).unwrap();
        assert_eq!(panel.frames_shown(), 1);
        assert!(panel.frame() == frame);
        let other = Framebuffer::new(Size::new(1, 1)).unwrap();
        assert!(matches!(
            display.show(&other),
            Err(DisplayError::Mismatch { .. })
        ));
    }

    #[test]
    fn its_thread_ends_with_the_last_handle() {
        let (panel, events) = panel(&PanelConfig::default());
        let (clone, lamps) = (panel.clone(), panel.lamp_driver());
        drop(panel);
        clone.tap(Key::Ok);
        assert_eq!(events.try_iter().count(), 2);
        drop((clone, lamps));
        // The sender lives in the panel, which the thread holds until it ends.
        assert!(
            events
                .recv_timeout(SOON)
                .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Disconnected)
        );
    }
}
