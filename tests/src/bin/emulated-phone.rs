//! `cross/qemu --panel`: the emulated phone against the simulator, worked by a person on its page.

use offhook_cloudsim::Simulator;
use offhook_cloudsim::spec::{Options, UserSpec};
use offhook_tests::emulated::{self, Machine, Page};
use std::time::Instant;

#[tokio::main]
async fn main() {
    offhook::device::crypto::install();
    let sim = Simulator::start(Options {
        control: Some(([127, 0, 0, 1], 0).into()),
        ..emulated::cloud()
    })
    .await
    .expect("the simulator starts");
    let user = sim.add_user(UserSpec::named("Agent One"));
    let since = Instant::now();
    println!("The emulated phone starts: one to five minutes, as quick as this computer is ...");
    let mut machine = Machine::start("panel", &sim, &user).await;
    println!("Its system runs after {} s ...", since.elapsed().as_secs());
    machine.ready().await;
    let page = Page::start(&machine).await;
    println!("Ready for a call after {} s.\n", since.elapsed().as_secs());
    println!("The phone:     {}", page.url());
    println!("The simulator: {}\n", sim.control_url().unwrap_or_default());
    println!("Keys and hook on the phone's page are the emulated contacts:");
    println!("  1. Lift the handset, click 5550100 and #: the call is answered after two seconds.");
    println!("  2. On the simulator's page press \"Call the phone\", then lift the handset.");
    println!(
        "A click is heard by the phone when its emulated processor comes to it. Its keypad has 16 keys;"
    );
    println!("others of the page have no contact. What the handset hears goes nowhere.");
    println!("Ctrl-C ends both.");
    tokio::signal::ctrl_c().await.expect("Ctrl-C is told");
    sim.stop().await;
}
