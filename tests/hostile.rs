//! Hostile peers: every row of the table of attacks on DICOM nodes and their web services, against the real executable,
//! which is started once. After each attack the process lives, a C-ECHO is answered at once and memory has hardly
//! risen; at the end every object that got Success is there, equal byte for byte.
//!
//! Rows are named and chosen like tests: `cargo test --test hostile -- nested`, `-- --list`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "hostile/bombs.rs"]
mod bombs;
#[path = "hostile/dimensions.rs"]
mod dimensions;
#[path = "hostile/identity.rs"]
mod identity;
#[path = "hostile/lengths.rs"]
mod lengths;
#[path = "hostile/line.rs"]
mod line;
#[path = "hostile/markup.rs"]
mod markup;
#[path = "hostile/nested.rs"]
mod nested;
#[path = "hostile/object.rs"]
mod object;
#[path = "hostile/order.rs"]
mod order;
#[path = "hostile/ports.rs"]
mod ports;
#[path = "hostile/query.rs"]
mod query;
#[path = "hostile/slow.rs"]
mod slow;
mod support;
#[path = "hostile/target.rs"]
mod target;
#[path = "hostile/traversal.rs"]
mod traversal;
#[path = "hostile/web.rs"]
mod web;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use target::{ECHO_MAX, Target};

/// What an attack may add to the peak of memory.
const GROWTH_KIB_MAX: u64 = 50 << 10;
/// The whole run, start of the demonstration included; a hang is a failure.
const RUN_SECONDS_MAX: u64 = 240;

/// One attack.
struct Row {
    name: String,
    attack: Box<dyn Fn(&Target)>,
}

impl Row {
    fn new(name: impl Into<String>, attack: impl Fn(&Target) + 'static) -> Row {
        Row {
            name: name.into(),
            attack: Box::new(attack),
        }
    }
}

fn rows() -> Vec<Row> {
    type Rows = fn() -> Vec<Row>;
    let groups: [(&str, Rows); 11] = [
        ("nested", nested::rows),
        ("lengths", lengths::rows),
        ("bombs", bombs::rows),
        ("dimensions", dimensions::rows),
        ("traversal", traversal::rows),
        ("markup", markup::rows),
        ("ports", ports::rows),
        ("order", order::rows),
        ("identity", identity::rows),
        ("query", query::rows),
        ("web", web::rows),
    ];
    let mut all: Vec<Row> = groups
        .into_iter()
        .flat_map(|(group, rows)| rows().into_iter().map(move |row| (group, row)))
        .map(|(group, row)| Row {
            name: format!("{group}::{}", row.name),
            attack: row.attack,
        })
        .collect();
    all.extend(slow::rows().into_iter().map(|row| Row {
        name: format!("slow::{}", row.name),
        attack: row.attack,
    }));
    all.push(Row::new(
        "every_acknowledged_object_is_equal_at_the_end",
        Target::assert_acknowledged_equal,
    ));
    all
}

/// Which rows the command line asks for, as libtest reads it.
struct Choice {
    words: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
}

impl Choice {
    fn read() -> Choice {
        let mut choice = Choice {
            words: Vec::new(),
            skipped: Vec::new(),
            exact: false,
            list: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => choice.list = true,
                "--exact" => choice.exact = true,
                "--skip" => choice.skipped.extend(arguments.next()),
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                word => choice.words.push(word.to_owned()),
            }
        }
        choice
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |word: &String| {
            if self.exact {
                name == word
            } else {
                name.contains(word.as_str())
            }
        };
        (self.words.is_empty() || self.words.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

fn main() -> ExitCode {
    let choice = Choice::read();
    let rows: Vec<Row> = rows().into_iter().filter(|row| choice.wants(&row.name)).collect();
    if choice.list {
        rows.iter().for_each(|row| println!("{}: test", row.name));
        return ExitCode::SUCCESS;
    }
    let start = Instant::now();
    println!("\nrunning {} tests", rows.len());
    if rows.is_empty() {
        return ExitCode::SUCCESS;
    }
    let mut target = Target::start();
    target::settle(&target);
    let ordinary = target.object();
    assert_eq!(
        target.store(&ordinary.place, &ordinary.bytes()),
        line::Answer::Status(0)
    );
    let mut failed = Vec::new();
    for row in &rows {
        if start.elapsed() > Duration::from_secs(RUN_SECONDS_MAX) {
            failed.push(format!("{}: not run, time is up", row.name));
            continue;
        }
        let before = Instant::now();
        match run(&target, row) {
            Ok(cost) => println!("test {} ... ok ({:.2?}, {cost})", row.name, before.elapsed()),
            Err(why) => {
                println!("test {} ... FAILED", row.name);
                failed.push(format!("{}: {why}", row.name));
            }
        }
        if !target.is_alive() {
            target = Target::start();
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    failed.iter().for_each(|line| println!("\n---- {line}"));
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; finished in {:.2?}\n",
        rows.len() - failed.len(),
        failed.len(),
        start.elapsed()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

/// Runs an attack and looks at the product afterwards.
fn run(target: &Target, row: &Row) -> Result<String, String> {
    target.forget_peak();
    let before = target.peak_kib();
    let attacked = catch_unwind(AssertUnwindSafe(|| (row.attack)(target)));
    if !target.is_alive() {
        return Err("the process died".into());
    }
    let grown = target.peak_kib().saturating_sub(before);
    let echo = catch_unwind(AssertUnwindSafe(|| target.echo())).ok().flatten();
    attacked.map_err(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        text.or(cause.downcast_ref::<&str>().copied())
            .unwrap_or("the attack panicked")
            .to_owned()
    })?;
    if grown > GROWTH_KIB_MAX {
        return Err(format!("memory rose by {grown} KiB"));
    }
    match echo {
        Some(time) if time < ECHO_MAX => Ok(format!("+{grown} KiB, echo {time:.1?}")),
        other => Err(format!("C-ECHO afterwards: {other:?}")),
    }
}
