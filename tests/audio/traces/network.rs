//! The networks of `networks.toml`: what becomes of each packet, the same in every run.
//!
//! Shared by the jitter buffer's tests, in virtual time, and by the simulator's gateway, in real time.

/// Numbers that look random and are the same in every run (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed but 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// 0.0 to 1.0.
    pub fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponentially distributed with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }
}

/// A network, as the file describes it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// What people call it.
    pub name: String,
    /// Of its [`Random`].
    pub seed: u64,
    /// How long it is looked at, s.
    pub seconds: usize,
    /// What every packet takes, ms.
    pub least_ms: f64,
    /// Uniform delay on top, ms.
    #[serde(default)]
    pub uniform_ms: f64,
    /// Exponential delay on top, ms, by its mean.
    #[serde(default)]
    pub exponential_ms: f64,
    /// Lost, percent.
    #[serde(default)]
    pub loss_percent: f64,
    /// How many are lost in a row, on average.
    #[serde(default = "one")]
    pub loss_run: f64,
    /// Every so often, ms, all packets are held back ...
    #[serde(default)]
    pub hold_every_ms: f64,
    /// ... until so many ms have passed.
    #[serde(default)]
    pub hold_ms: f64,
    /// A delay that swells to this and shrinks to nothing, ms ...
    #[serde(default)]
    pub swell_ms: f64,
    /// ... with this period, ms.
    #[serde(default = "one")]
    pub swell_every_ms: f64,
    /// The way gets longer by so much, ms ...
    #[serde(default)]
    pub longer_by_ms: f64,
    /// ... after this, ms.
    #[serde(default)]
    pub longer_after_ms: f64,
    /// How much quicker the sender's clock is, parts per million.
    #[serde(default)]
    pub ppm: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for Network {
    /// One that takes no time and loses nothing; how long it is looked at is to be said.
    fn default() -> Self {
        Self {
            name: String::new(),
            seed: 1,
            seconds: 0,
            least_ms: 0.0,
            uniform_ms: 0.0,
            exponential_ms: 0.0,
            loss_percent: 0.0,
            loss_run: one(),
            hold_every_ms: 0.0,
            hold_ms: 0.0,
            swell_ms: 0.0,
            swell_every_ms: one(),
            longer_by_ms: 0.0,
            longer_after_ms: 0.0,
            ppm: 0.0,
        }
    }
}

impl Network {
    /// The way of one stream through it.
    pub fn way(&self) -> Way {
        Way {
            network: self.clone(),
            random: Random::new(self.seed),
            losing: false,
            packets: 0,
        }
    }

    /// Time between two packets of `packet_ms` by the receiver's clock, ms.
    pub fn pace_ms(&self, packet_ms: usize) -> f64 {
        packet_ms as f64 / (1.0 + self.ppm * 1e-6)
    }
}

/// One stream's way through a [`Network`].
#[derive(Clone, Debug)]
pub struct Way {
    network: Network,
    random: Random,
    losing: bool,
    packets: u32,
}

impl Way {
    /// What becomes of the next packet, sent so many ms after the first: how long it takes, ms; `None`: it is lost.
    /// The first five arrive, so that there is a stream.
    pub fn packet(&mut self, sent_ms: f64) -> Option<f64> {
        let network = &self.network;
        let mut delay = network.least_ms
            + network.uniform_ms * self.random.uniform()
            + self.random.exponential(network.exponential_ms);
        if network.hold_every_ms > 0.0 {
            delay += (network.hold_ms - sent_ms % network.hold_every_ms).max(0.0);
        }
        let swell = (sent_ms / network.swell_every_ms * std::f64::consts::TAU).sin();
        delay += network.swell_ms * 0.5 * (1.0 + swell);
        if sent_ms > network.longer_after_ms {
            delay += network.longer_by_ms;
        }
        // Gilbert: the runs of lost packets have a mean length.
        let (dice, run) = (self.random.uniform(), 1.0 / network.loss_run);
        let loss = network.loss_percent / 100.0;
        self.losing = if self.losing {
            dice >= run
        } else {
            dice < loss * run / (1.0 - loss)
        };
        self.packets += 1;
        (!self.losing || self.packets <= 5).then_some(delay)
    }
}
