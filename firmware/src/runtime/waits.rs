//! What an update waits for: an idle moment to restart in, and the proof that the running system is good.

use crate::device::update::trial::Abilities;
use std::time::{Duration, Instant};

/// How often the phone is looked at while it waits for something of the kind below.
const LOOK: Duration = Duration::from_secs(2);
/// No call and the handset down for so long: nobody is about to call again.
const QUIET: Duration = Duration::from_secs(20);
/// A known system's phone is marked good after so long: it runs, and a cloud out of order is none of its faults. Short,
/// because three starts in a row that end before it lead to the other system.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// A new system is believed if it has been able to do for so long what the old one could.
const STEADY: Duration = Duration::from_secs(30);
/// A new system that has not proved itself by then is given up. The cloud's longest pause between two attempts fits in
/// twice; `offhook-judge.timer` comes later.
pub(super) const TRIAL: Duration = Duration::from_mins(10);

/// What the phone is now, as far as updates have to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub is_in_use: bool,
    pub can: Abilities,
    /// What is to be kept across a restart is.
    pub keeps_state: bool,
    /// No cable is in: nothing can be reached.
    pub is_unplugged: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Nothing,
    Accept,
    GiveUp,
    Restart,
    EndNotice,
}

/// Whether the running system has proved itself.
#[derive(Debug, Default)]
pub(super) enum Proof {
    /// Not to be proved: there is no second system, or it has been.
    #[default]
    Done,
    /// The system of before.
    Settling { until: Instant },
    /// A new one, after one that could do this much.
    Trial {
        could: Abilities,
        until: Instant,
        steady_since: Option<Instant>,
    },
}

/// Whether the device is to be restarted.
#[derive(Debug, Default)]
pub(super) enum Restart {
    #[default]
    No,
    /// At the next idle moment; since when nobody uses the phone.
    WhenIdle { quiet_since: Option<Instant> },
}

/// The waiting.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub proof: Proof,
    pub restart: Restart,
    pub notice_until: Option<Instant>,
    next_look: Option<Instant>,
}

impl Waits {
    pub fn next_timeout(&self) -> Option<Instant> {
        self.next_look
    }

    pub fn is_waiting(&self) -> bool {
        !matches!(self.restart, Restart::No)
            || self.notice_until.is_some()
            || !matches!(self.proof, Proof::Done)
    }

    /// One deed at a time; the others come at the next look.
    pub fn look(&mut self, now: Instant, facts: Facts) -> Deed {
        let deed = self.judge(now, facts);
        self.next_look = self.is_waiting().then(|| now + LOOK);
        deed
    }

    fn judge(&mut self, now: Instant, facts: Facts) -> Deed {
        if self.notice_until.is_some_and(|until| now >= until) {
            self.notice_until = None;
            return Deed::EndNotice;
        }
        match &mut self.proof {
            // Without what was kept nobody knows whether this is a new system, whose fault that is.
            Proof::Settling { until }
                if now >= *until && (facts.keeps_state || facts.can.cloud) =>
            {
                self.proof = Proof::Done;
                return Deed::Accept;
            }
            Proof::Trial {
                could,
                until,
                steady_since,
            } => {
                let since = *steady_since.get_or_insert(now);
                if !is_believed(*could, facts) {
                    *steady_since = None;
                } else if now - since >= STEADY {
                    self.proof = Proof::Done;
                    return Deed::Accept;
                }
                if now >= *until && !facts.is_in_use {
                    self.proof = Proof::Done;
                    return Deed::GiveUp;
                }
            }
            Proof::Done | Proof::Settling { .. } => {}
        }
        if let Restart::WhenIdle { quiet_since } = &mut self.restart {
            if facts.is_in_use {
                *quiet_since = None;
            } else if now - *quiet_since.get_or_insert(now) >= QUIET {
                self.restart = Restart::No;
                return Deed::Restart;
            }
        }
        Deed::Nothing
    }
}

/// It can do what the one before could. A cable that is out is not its fault; a network that leads nowhere may be.
fn is_believed(
    could: Abilities,
    Facts {
        can, is_unplugged, ..
    }: Facts,
) -> bool {
    (can.keys || !could.keys)
        && (can.sound || !could.sound)
        && (can.cloud || !could.cloud || is_unplugged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Abilities = Abilities {
        cloud: true,
        keys: true,
        sound: true,
    };
    const OFFLINE: Abilities = Abilities {
        cloud: false,
        ..ALL
    };
    const USED: Facts = Facts {
        is_in_use: true,
        can: OFFLINE,
        keeps_state: true,
        is_unplugged: false,
    };
    const IDLE: Facts = Facts {
        is_in_use: false,
        ..USED
    };

    fn can(can: Abilities) -> Facts {
        Facts { can, ..IDLE }
    }

    /// Looks every two seconds; the seconds and the deeds.
    fn deeds(mut waits: Waits, facts: impl Fn(u64) -> Facts) -> Vec<(u64, Deed)> {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let later = |wait: &mut Instant| *wait = start + (*wait - Instant::now());
        match &mut waits.proof {
            Proof::Settling { until } | Proof::Trial { until, .. } => later(until),
            Proof::Done => {}
        }
        (0..800)
            .step_by(2)
            .map(|second| (second, waits.look(at(second), facts(second))))
            .filter(|(_, deed)| *deed != Deed::Nothing)
            .collect()
    }

    fn in_secs(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn trial(could: Abilities) -> Waits {
        Waits {
            proof: Proof::Trial {
                could,
                until: in_secs(600),
                steady_since: None,
            },
            ..Waits::default()
        }
    }

    fn settling() -> Waits {
        Waits {
            proof: Proof::Settling { until: in_secs(20) },
            ..Waits::default()
        }
    }

    fn near(found: &[(u64, Deed)], expected: &[(u64, Deed)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((at, deed), (time, due)) in found.iter().zip(expected) {
            assert!(deed == due && at.abs_diff(*time) <= 2, "{found:?}");
        }
    }

    #[test]
    fn a_restart_waits_until_nobody_has_used_the_phone_for_a_while() {
        let waiting = || Waits {
            restart: Restart::WhenIdle { quiet_since: None },
            ..Waits::default()
        };
        near(&deeds(waiting(), |_| IDLE), &[(20, Deed::Restart)]);
        near(&deeds(waiting(), |_| USED), &[]);
        let busy = |second| {
            if (10..100).contains(&second) {
                USED
            } else {
                IDLE
            }
        };
        near(&deeds(waiting(), busy), &[(120, Deed::Restart)]);
    }

    #[test]
    fn the_system_of_before_is_good_once_it_has_settled_whatever_the_cloud_does() {
        near(&deeds(settling(), |_| IDLE), &[(20, Deed::Accept)]);
    }

    /// A new system that cannot mount the state partition finds no record of its trial: it was kept.
    #[test]
    fn a_system_without_its_state_is_good_only_if_it_reaches_the_cloud() {
        let stateless = |can| Facts {
            can,
            keeps_state: false,
            ..IDLE
        };
        near(&deeds(settling(), |_| stateless(OFFLINE)), &[]);
        let connected = |second| stateless(if second < 60 { OFFLINE } else { ALL });
        near(&deeds(settling(), connected), &[(60, Deed::Accept)]);
    }

    #[test]
    fn a_new_system_is_good_when_it_can_do_what_the_old_one_could() {
        let mute = Abilities {
            sound: false,
            ..ALL
        };
        let deaf = Abilities { keys: false, ..ALL };
        // What the old one could, what the new one can from the 20th second on, and when it is good.
        for (could, can_now, good) in [
            (ALL, ALL, Some(50)),
            (OFFLINE, OFFLINE, Some(50)),
            (OFFLINE, ALL, Some(30)),
            (mute, mute, Some(50)),
            (mute, ALL, Some(50)),
            (ALL, OFFLINE, None),
            (ALL, mute, None),
            (ALL, deaf, None),
            (OFFLINE, mute, None),
        ] {
            let nothing = Abilities {
                cloud: could == OFFLINE,
                keys: could == OFFLINE && can_now == ALL,
                sound: could == OFFLINE && can_now == ALL,
            };
            let facts = |second| can(if second < 20 { nothing } else { can_now });
            let expected = match good {
                Some(second) => (second, Deed::Accept),
                None => (600, Deed::GiveUp),
            };
            near(&deeds(trial(could), facts), &[expected]);
        }
    }

    /// A slow switch or DHCP server was proof, and so was a new system without a driver for its Ethernet.
    #[test]
    fn only_a_cable_that_is_out_excuses_a_cloud_that_is_not_reached() {
        let unplugged = |second| Facts {
            is_unplugged: second < 300,
            ..IDLE
        };
        near(&deeds(trial(ALL), unplugged), &[(30, Deed::Accept)]);
        let flapping = |second| Facts {
            is_unplugged: second % 20 != 0,
            ..IDLE
        };
        near(&deeds(trial(ALL), flapping), &[(600, Deed::GiveUp)]);
        near(&deeds(trial(ALL), |_| IDLE), &[(600, Deed::GiveUp)]);
    }

    #[test]
    fn a_new_system_is_not_given_up_in_a_call() {
        let busy = |second| if second < 700 { USED } else { IDLE };
        near(&deeds(trial(ALL), busy), &[(700, Deed::GiveUp)]);
    }

    #[test]
    fn a_notice_ends() {
        let told = Waits {
            notice_until: Some(Instant::now()),
            ..Waits::default()
        };
        near(&deeds(told, |_| IDLE), &[(0, Deed::EndNotice)]);
    }
}
