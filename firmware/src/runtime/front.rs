//! Keys, hook, lamps and display: the board's hardware, a virtual panel for what the board has none of, or both.

use super::{Finger, RuntimeError, Wake, start::board_error};
use offhook_board::Board;
use offhook_hal::front::{Front, FrontCounters, FrontEvent, FrontLamps};
use offhook_hal::screen::Screen;
use offhook_hal::virtual_board::{VirtualDisplay, VirtualLamps, VirtualPanel};
use offhook_hal::{Display, Framebuffer, HalEvent, Lamp, LampState, Lamps};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// A part of the hardware does not work, or works again.
#[derive(Debug)]
pub(super) enum Hardware {
    Trouble { part: String },
    Recovered { part: String },
}

/// All that the user touches and sees.
pub(super) struct FrontPanel {
    pub frame: Framebuffer,
    panel: Option<(VirtualPanel, VirtualLamps, VirtualDisplay)>,
    lamps: Option<FrontLamps>,
    screen: Option<Screen>,
    front: Option<Front>,
    in_trouble: BTreeSet<String>,
}

impl FrontPanel {
    /// Starts what the board says. Hardware that is missing is told later, and waited for.
    pub fn start(
        board: &Board,
        wake: &mpsc::Sender<Wake>,
        dropped: &Arc<AtomicU64>,
    ) -> Result<Self, RuntimeError> {
        let frame = Framebuffer::new(board.display.size());
        let mut started = Self {
            frame: frame.map_err(|error| board_error(board, &error))?,
            panel: None,
            lamps: None,
            screen: None,
            front: None,
            in_trouble: BTreeSet::new(),
        };
        if board.has_virtual_parts() {
            let finger = finger(wake, dropped);
            let panel = VirtualPanel::new(&board.panel_config(), finger)
                .map_err(|error| board_error(board, &error))?;
            let (lamps, display) = (panel.lamp_driver(), panel.display_driver());
            started.panel = Some((panel, lamps, display));
        }
        let spec = board.front();
        if !spec.is_empty() {
            let finger = finger(wake, dropped);
            let wake = wake.clone();
            let sink = move |event| match event {
                FrontEvent::Hal(event) => finger(event),
                FrontEvent::Trouble { part, message } => {
                    tracing::error!(part, "{message}; trying again");
                    // The log has it; the display will be late only if the phone is stuck.
                    let _ = wake.try_send(Wake::Hardware(Hardware::Trouble { part }));
                }
                FrontEvent::Recovered { part } => {
                    tracing::info!(part, "works again");
                    let _ = wake.try_send(Wake::Hardware(Hardware::Recovered { part }));
                }
            };
            let front = Front::start(spec, sink).map_err(|error| board_error(board, &error))?;
            started.lamps = Some(front.lamps());
            started.front = Some(front);
        }
        if let Some(spec) = board.screen() {
            let report = |trouble: Option<String>| {
                if let Some(message) = trouble {
                    tracing::error!("{message}; trying again");
                } else {
                    tracing::info!("the display works");
                }
            };
            let screen = Screen::start(spec.size, spec, report);
            started.screen = Some(screen.map_err(|error| board_error(board, &error))?);
        }
        Ok(started)
    }

    /// What is worked from the page, if anything is.
    pub fn virtual_panel(&self) -> Option<VirtualPanel> {
        self.panel.as_ref().map(|(panel, ..)| panel.clone())
    }

    pub fn set_lamp(&mut self, lamp: Lamp, state: LampState) {
        let set = |lamps: &mut dyn Lamps| {
            if let Err(error) = lamps.set(lamp, state) {
                tracing::warn!(%error, "a lamp cannot be switched");
            }
        };
        if let Some((_, lamps, _)) = &mut self.panel {
            set(lamps);
        }
        if let Some(lamps) = &mut self.lamps {
            set(lamps);
        }
    }

    /// Shows [`FrontPanel::frame`].
    pub fn show(&mut self) {
        let frame = &self.frame;
        let show = |display: &mut dyn Display| {
            if let Err(error) = display.show(frame) {
                tracing::warn!(%error, "the display cannot be drawn");
            }
        };
        if let Some((_, _, display)) = &mut self.panel {
            show(display);
        }
        if let Some(screen) = &mut self.screen {
            show(screen);
        }
    }

    /// What the hardware's thread has counted; zeros without one.
    pub fn counters(&self) -> FrontCounters {
        let counters = self.front.as_ref().map(Front::counters);
        counters.unwrap_or_default()
    }

    /// Takes note, and tells whether any part is in trouble now.
    pub fn hardware(&mut self, event: Hardware) -> bool {
        match event {
            Hardware::Trouble { part } => self.in_trouble.insert(part),
            Hardware::Recovered { part } => self.in_trouble.remove(&part),
        };
        !self.in_trouble.is_empty()
    }
}

/// Passes what a finger did to the event loop.
fn finger(
    wake: &mpsc::Sender<Wake>,
    dropped: &Arc<AtomicU64>,
) -> impl Fn(HalEvent) + Send + Sync + 'static {
    let (wake, dropped) = (wake.clone(), Arc::clone(dropped));
    move |event| {
        if wake.try_send(Wake::Hal(Finger(event))).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_hal::Key;
    use std::time::Duration;

    fn start(board: &Board) -> (FrontPanel, mpsc::Receiver<Wake>) {
        let (wake, wakes) = mpsc::channel(64);
        let front = FrontPanel::start(board, &wake, &Arc::default()).unwrap();
        (front, wakes)
    }

    #[test]
    fn a_virtual_board_is_worked_through_its_panel() {
        let board = Board::builtin("rpi-4b").unwrap().into_virtual();
        let (mut front, mut wakes) = start(&board);
        let panel = front.virtual_panel().unwrap();
        panel.press(Key::Digit(5));
        assert!(matches!(wakes.try_recv(), Ok(Wake::Hal(_))));
        front.set_lamp(Lamp::Mute, LampState::On);
        front.show();
        assert_eq!(panel.lamps()[&Lamp::Mute], LampState::On);
        assert_eq!(panel.frames_shown(), 1);
    }

    /// A board whose hardware is not there starts, says so, and shows what is virtual.
    #[tokio::test]
    async fn a_board_without_its_hardware_starts_and_says_so() {
        let board = Board::builtin("qemu-virt").unwrap();
        let (mut front, mut wakes) = start(&board);
        assert!(
            front.virtual_panel().is_some(),
            "its display is on the page"
        );
        let wake = tokio::time::timeout(Duration::from_secs(20), wakes.recv()).await;
        let Ok(Some(Wake::Hardware(event))) = wake else {
            panic!("{wake:?}")
        };
        assert!(matches!(&event, Hardware::Trouble { part } if part == "GPIO lines"));
        assert!(front.hardware(event));
        front.set_lamp(Lamp::Message, LampState::Slow);
        front.show();
        let part = "GPIO lines".into();
        assert!(!front.hardware(Hardware::Recovered { part }));
    }

    #[test]
    fn a_board_that_is_all_hardware_has_no_panel() {
        let (front, _wakes) = start(&Board::builtin("rpi-4b").unwrap());
        assert!(front.virtual_panel().is_none());
    }
}
