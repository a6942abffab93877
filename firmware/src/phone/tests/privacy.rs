//! No name and no number in any `Debug`: what is logged is what is printed here.
use super::bench::Bench;
use crate::audio::{AudioCommand, KeyTone};
use crate::device::Private;
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::phone::{Input, Output, Screen};
use crate::softphone::{Command, CommandId};
use offhook_hal::{HalEvent, Key, KeyAction};

#[test]
fn inputs_and_outputs_hide_numbers_and_names() {
    let params = StartSoftphoneSessionParams {
        phone_number: Some(Private::from("7777777")),
        ..StartSoftphoneSessionParams::default()
    };
    let mut bench = Bench::default();
    for step in ["lift", "type 7777777#", "A contacting", "A connected"] {
        bench.step(step);
    }
    assert!(
        bench.screen.main.contains("Alice"),
        "the screen has the name"
    );
    let key = |action| {
        Input::Hal(HalEvent::Key {
            key: Key::Digit(7),
            action,
        })
    };
    let inputs = [
        key(KeyAction::Pressed),
        key(KeyAction::Released),
        Input::Hal(HalEvent::KeyStuck(Key::Digit(7))),
        Input::Dial {
            id: CommandId(1),
            params: Box::new(params.clone()),
        },
        Input::Identity {
            user: Private::from("Alice"),
            station: None,
        },
    ];
    let outputs = [
        Output::Audio(AudioCommand::KeyTone(Some(KeyTone('7')))),
        Output::Screen(Box::new(Screen {
            main: "7777777".to_owned(),
            ..bench.screen
        })),
        Output::Softphone {
            id: CommandId(2),
            command: Command::Start(Box::new(params)),
        },
    ];
    let text = format!("{inputs:?} {outputs:?}");
    assert!(!text.contains('7') && !text.contains("Alice"), "{text}");
}
