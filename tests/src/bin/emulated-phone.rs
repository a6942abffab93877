//! `cross/qemu --panel`: the emulated phone against the simulator, worked by a person on its page.

use offhook_cloudsim::Simulator;
use offhook_cloudsim::spec::{Options, UserSpec};
use offhook_tests::emulated::{self, Clock, Machine, Page};
use std::convert::Infallible;
use std::time::Instant;

#[tokio::main]
async fn main() {
    offhook::device::crypto::install();
    // Whenever it comes, the machine's power goes and its card is removed.
    tokio::select! {
        never = run() => match never {},
        asked = tokio::signal::ctrl_c() => asked.expect("Ctrl-C is told"),
    }
}

async fn run() -> Infallible {
    let sim = Simulator::start(Options {
        control: Some(([127, 0, 0, 1], 0).into()),
        ..emulated::cloud()
    })
    .await
    .expect("the simulator starts");
    let user = sim.add_user(UserSpec::named("Agent One"));
    let since = Instant::now();
    println!("The emulated phone starts: one to five minutes, as quick as this computer is ...");
    let mut machine = Machine::start("panel", Clock::Host, &sim, &user).await;
    println!("Its system runs after {} s ...", since.elapsed().as_secs());
    machine.ready().await;
    let page = Page::start(&machine).await;
    println!("Ready for a call after {} s.", since.elapsed().as_secs());
    let cloud = sim.control_url().unwrap_or_default();
    println!(
        "
The phone:     {}
The simulator: {cloud}

Keys and hook on the phone's page are the emulated contacts:
  1. Lift the handset, click 5550100 and #: the call is answered after two seconds.
  2. On the simulator's page press \"Call the phone\", then lift the handset.
A click takes as long as the emulated processor needs. The keypad has 16 keys; the others on the page have no
contact. What the handset hears goes nowhere. Ctrl-C ends both.",
        page.url()
    );
    std::future::pending().await
}
