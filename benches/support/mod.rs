//! What the benches share: CPU time as the measure, the least that a kernel can cost on this machine, and one line
//! of ratio for each kernel.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

pub mod image;
pub mod site;

use cpu_time::ProcessTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, Criterion, Throughput};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

/// CPU time of all threads of this process: on a machine that others use too, wall time measures the others.
pub struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ProcessTime;
    type Value = Duration;

    fn start(&self) -> ProcessTime {
        ProcessTime::now()
    }

    fn end(&self, start: ProcessTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        static NANOSECONDS: WallTime = WallTime;
        NANOSECONDS.formatter()
    }
}

/// Short runs, because the least of many is what counts.
pub fn criterion() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(20)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args()
}

/// The least that a kernel can cost: bytes that have to pass through memory once, and cycles of the longest chain in
/// which each step needs the one before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Floor {
    bytes: f64,
    cycles: f64,
    seconds: f64,
}

impl Floor {
    pub fn bytes(bytes: usize) -> Floor {
        Floor {
            bytes: bytes as f64,
            ..Floor::default()
        }
    }

    pub fn cycles(cycles: f64) -> Floor {
        Floor {
            cycles,
            ..Floor::default()
        }
    }

    /// A time that was measured as the least.
    pub fn seconds(seconds: f64) -> Floor {
        Floor {
            seconds,
            ..Floor::default()
        }
    }

    pub fn and(self, other: Floor) -> Floor {
        Floor {
            bytes: self.bytes + other.bytes,
            cycles: self.cycles + other.cycles,
            seconds: self.seconds + other.seconds,
        }
    }

    fn total_s(self) -> f64 {
        let read = if self.bytes > 0.0 { read_s(self.bytes) } else { 0.0 };
        read + self.cycles * cycle_s() + self.seconds
    }
}

/// Least CPU time of `work` over about `total`.
pub fn least_s(total: Duration, mut work: impl FnMut()) -> f64 {
    let (mut least, mut spent) = (f64::INFINITY, 0.0);
    while spent < total.as_secs_f64() {
        let start = ProcessTime::now();
        work();
        let took = start.elapsed().as_secs_f64();
        least = least.min(took);
        spent += took.max(1e-7);
    }
    least
}

/// Reading this many bytes once, from wherever an array of that size lies: a cache or main memory.
fn read_s(bytes: f64) -> f64 {
    let words = ((bytes / 8.0) as usize).max(1);
    let block = vec![0x5A_u64; words.min(32 << 20)];
    // Small arrays are read many times in one measurement, because the clock has its own cost.
    let rounds = (1 << 18) / block.len() + 1;
    let once = least_s(Duration::from_millis(60), || {
        for _ in 0..rounds {
            black_box(black_box(&block).iter().fold(0_u64, |sum, word| sum ^ word));
        }
    });
    once / rounds as f64 * (words as f64 / block.len() as f64)
}

/// One clock cycle, from a chain of multiplications (3 cycles each) and additions (1 cycle) of dependent values.
fn cycle_s() -> f64 {
    const STEPS: u32 = 1 << 18;
    static CYCLE_S: OnceLock<f64> = OnceLock::new();
    *CYCLE_S.get_or_init(|| {
        let least = least_s(Duration::from_millis(60), || {
            let mut x = black_box(1_u64);
            for step in 0..STEPS {
                x = x
                    .wrapping_mul(0x5851_F42D_4C95_7F2D)
                    .wrapping_add(u64::from(step));
            }
            black_box(x);
        });
        least / f64::from(STEPS) / 4.0
    })
}

/// The kernels of one subject.
pub struct Subject<'c>(BenchmarkGroup<'c, CpuTime>);

impl<'c> Subject<'c> {
    pub fn new(criterion: &'c mut Criterion<CpuTime>, name: &str) -> Subject<'c> {
        Subject(criterion.benchmark_group(name))
    }

    /// Times `work` and prints its least CPU time beside its floor.
    pub fn kernel(&mut self, name: &str, work: Throughput, floor: Floor, mut run: impl FnMut()) {
        self.measured(name, work, floor, |times| {
            let start = ProcessTime::now();
            for _ in 0..times {
                run();
            }
            start.elapsed()
        });
    }

    /// The same where the input of each run has to be made outside the measured time: `run` does it so many times and
    /// says how long the kernel itself took.
    pub fn measured(
        &mut self,
        name: &str,
        work: Throughput,
        floor: Floor,
        mut run: impl FnMut(u64) -> Duration,
    ) {
        let least = Cell::new(f64::INFINITY);
        self.0.throughput(work);
        self.0.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let took = run(times);
                least.set(least.get().min(took.as_secs_f64() / times as f64));
                took
            });
        });
        if least.get().is_finite() {
            let (took, floor) = (least.get(), floor.total_s());
            println!(
                "    least {:.4} ms CPU, floor {:.4} ms, {:.1} times the floor\n",
                took * 1e3,
                floor * 1e3,
                took / floor
            );
        }
    }
}

/// A file below the folder of real test data, or none.
pub fn test_data(path: &str) -> Option<Vec<u8>> {
    let named = std::env::var_os("GONGYING_TEST_DATA").map(std::path::PathBuf::from);
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(|p| p.join("shared/data"));
    let found = named
        .into_iter()
        .chain(beside)
        .find_map(|folder| std::fs::read(folder.join(path)).ok());
    if found.is_none() {
        println!("skipped: test data {path} is not present (set GONGYING_TEST_DATA)");
    }
    found
}
