//! `gongying ecg`: read, convert, filter, measure and draw one record.

mod convert;
mod holter;
mod quality;
mod record;
mod sheet;

use super::kernel::Loaded;
use crate::output;
use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use engine::ecg::beats::Leads;
use engine::ecg::filter::{self, Mains, Path};
use engine::ecg::formats::npy;
use engine::ecg::{AnalyzeOptions, Record, beats};
use record::{Shape, Source};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Read, convert, filter, measure and draw ECG records.
#[derive(Subcommand, Debug)]
pub(crate) enum Ecg {
    /// What a record holds.
    #[command(after_help = "Example: gongying ecg info 100.hea --json")]
    Info {
        #[command(flatten)]
        source: Source,
        /// One JSON object instead of lines of text.
        #[arg(long)]
        json: bool,
    },
    /// Find the beats: sample of the main QRS peak and EC57 class.
    #[command(after_help = "Example: gongying ecg beats 100.hea --lead 0 --format csv")]
    Beats {
        #[command(flatten)]
        source: Source,
        /// One lead, by name or by its place counted from 0.
        #[arg(long, conflicts_with = "fused")]
        lead: Option<String>,
        /// All leads together (the default).
        #[arg(long)]
        fused: bool,
        #[arg(long, value_enum, default_value_t = Table::Csv)]
        format: Table,
        #[arg(short, value_name = "FILE")]
        o: Option<PathBuf>,
    },
    /// Measure and interpret.
    #[command(after_help = "Example: gongying ecg analyze stemi.dcm --json")]
    Analyze {
        #[command(flatten)]
        source: Source,
        /// JSON is the only form; the switch is there for scripts.
        #[arg(long)]
        json: bool,
        /// Rules for critical findings: consensus_2017 (the default), zhejiang, shanxi, or a file.
        #[arg(long, value_name = "NAME|FILE")]
        rules: Option<String>,
        #[arg(short, value_name = "FILE")]
        o: Option<PathBuf>,
    },
    /// Say whether a recording will do or should be taken again: electrodes, range, noise, length, rate.
    #[command(after_help = "Example: gongying ecg quality cart.scp --json")]
    Quality {
        #[command(flatten)]
        source: Source,
        /// One JSON object instead of lines of text.
        #[arg(long)]
        json: bool,
    },
    /// Mark on, peak and off of P, QRS and T of every beat.
    #[command(after_help = "Example: gongying ecg delineate 1.hea --lead ii --json")]
    Delineate {
        #[command(flatten)]
        source: Source,
        /// One lead, by name or place; without it the marks hold over all leads.
        #[arg(long)]
        lead: Option<String>,
        /// JSON is the only form; the switch is there for scripts.
        #[arg(long)]
        json: bool,
        #[arg(short, value_name = "FILE")]
        o: Option<PathBuf>,
    },
    /// Sum up a long recording (hours to days): rates, pauses, ectopy, atrial fibrillation, ST, variability, strips.
    #[command(after_help = "Example: gongying ecg holter day.edf --json -o day.json")]
    Holter(holter::Options),
    /// Write a record in another format: DICOM (.dcm), EDF+ (.edf), WFDB (.hea with .dat) or an array (.npy).
    #[command(after_help = "Example: gongying ecg convert cart.scp -o cart.dcm")]
    Convert {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        options: convert::Options,
    },
    /// Filter to float64 microvolts, shape (leads, samples).
    #[command(after_help = "Example: gongying ecg filter 100.hea --path diagnostic --mains 60 -o 100.npy")]
    Filter {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        chain: Chain,
        #[arg(short, value_name = "OUT.npy")]
        o: PathBuf,
    },
    /// Draw the paper at true scale, as SVG, PDF or PNG.
    #[command(
        after_help = "Example: gongying ecg render stemi.dcm -o stemi.pdf --layout cabrera --speed 50 --marks fiducials"
    )]
    Render {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        sheet: sheet::Options,
        #[command(flatten)]
        chain: Chain,
        /// Its ending says the form: .svg, .pdf or .png (10 dots a millimetre).
        #[arg(short, value_name = "OUT.svg|OUT.pdf|OUT.png")]
        o: PathBuf,
    },
}

/// Filter path and mains frequency.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct Chain {
    /// raw, diagnostic (0.05 to 150 Hz) or display (0.5 to 40 Hz).
    #[arg(long, value_enum, default_value_t = PathName::Diagnostic)]
    path: PathName,
    /// Mains frequency to take out.
    #[arg(long, value_enum, default_value_t = MainsName::Fifty)]
    mains: MainsName,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum PathName {
    Raw,
    Diagnostic,
    Display,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum MainsName {
    #[value(name = "50")]
    Fifty,
    #[value(name = "60")]
    Sixty,
    Off,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Csv,
    Json,
}

impl Chain {
    fn path(self) -> Path {
        match self.path {
            PathName::Raw => Path::Raw,
            PathName::Diagnostic => Path::Diagnostic,
            PathName::Display => Path::Display,
        }
    }

    fn mains(self) -> Mains {
        match self.mains {
            MainsName::Fifty => Mains::Hz50,
            MainsName::Sixty => Mains::Hz60,
            MainsName::Off => Mains::Off,
        }
    }
}

impl Ecg {
    pub(super) fn run(self) -> Result<()> {
        match self {
            Ecg::Info { source, json } => info(&source, json),
            Ecg::Beats {
                source,
                lead,
                fused: _,
                format,
                o,
            } => {
                let record = source.read()?;
                let leads = leads_of(&record, lead.as_deref())?;
                table(&record, &beats::detect(&record, leads), format, o.as_deref())
            }
            Ecg::Analyze {
                source,
                json: _,
                rules,
                o,
            } => {
                let own = rules.as_deref().map(crate::ecg_rules::named).transpose()?;
                let mut options = AnalyzeOptions::default();
                options.ruleset = own.as_ref().or(options.ruleset);
                output::json(
                    o.as_deref(),
                    &engine::ecg::analyze_with(&source.read()?, &options),
                )
            }
            Ecg::Quality { source, json } => quality::check(&source, json),
            Ecg::Delineate {
                source,
                lead,
                json: _,
                o,
            } => {
                let record = source.read()?;
                let leads = leads_of(&record, lead.as_deref())?;
                output::json(o.as_deref(), &engine::ecg::delineate::delineate(&record, leads))
            }
            Ecg::Holter(options) => options.run(),
            Ecg::Convert { source, options } => convert::convert(&source, &options),
            Ecg::Filter { source, chain, o } => {
                let rows: Vec<Vec<f64>> = filter::apply(&source.read()?, chain.path(), chain.mains())
                    .into_iter()
                    .map(|lead| lead.into_iter().map(f64::from).collect())
                    .collect();
                output::write(Some(&o), &npy::write(&rows))
            }
            Ecg::Render {
                source,
                sheet,
                chain,
                o,
            } => sheet::render(&source, &sheet, chain, &o),
        }
    }
}

fn leads_of(record: &Record, lead: Option<&str>) -> Result<Leads> {
    Ok(match lead {
        Some(lead) => Leads::One(record.lead_index(lead)?),
        None => Leads::Fused,
    })
}

fn info(source: &Source, json: bool) -> Result<()> {
    let record = source.read()?;
    let info = record.info();
    if json {
        return output::json(None, &info);
    }
    let names: Vec<String> = record.lead_names().iter().map(ToString::to_string).collect();
    output::line(&format!(
        "{}: {} leads ({}), {} Hz, {:.3} s",
        record.format,
        names.len(),
        names.join(" "),
        record.sampling_rate_hz,
        record.duration_s()
    ))?;
    record
        .warnings
        .iter()
        .try_for_each(|warning| output::line(&format!("warning: {warning}")))
}

fn table(record: &Record, found: &[beats::Beat], format: Table, to: Option<&std::path::Path>) -> Result<()> {
    if format == Table::Json {
        return output::json(to, &found);
    }
    let mut text = String::from("sample,time_s,label\n");
    for beat in found {
        writeln!(
            text,
            "{},{:.6},{}",
            beat.sample,
            beat.sample as f64 / record.sampling_rate_hz,
            beat.class.letter()
        )?;
    }
    output::write(to, text.as_bytes())
}

/// What the ECG kernels of `gongying bench` take.
#[derive(Args, Debug)]
#[group(id = "ecg_kernel")]
pub(crate) struct KernelOptions {
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    chain: Chain,
    /// One lead, by name or place, for ecg-beats; all of them without it.
    #[arg(long)]
    lead: Option<String>,
}

fn one(input: &[PathBuf], options: &KernelOptions) -> Result<Record> {
    match input {
        [path] => record::read(path, &options.shape),
        _ => bail!("ECG kernels take one record, not {}", input.len()),
    }
}

fn samples(record: &Record) -> f64 {
    (record.len() * record.leads.len()) as f64
}

pub(super) fn load_filter(input: &[PathBuf], options: &KernelOptions) -> Result<Loaded> {
    let (record, chain) = (one(input, options)?, options.chain);
    let work = samples(&record);
    // Into rows that stand, as whoever filters part after part of a long recording does.
    let mut rows = Vec::new();
    let run = Box::new(move || {
        filter::apply_into(&record, chain.path(), chain.mains(), &mut rows);
        std::hint::black_box(&rows);
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "samples",
        run,
    })
}

pub(super) fn load_beats(input: &[PathBuf], options: &KernelOptions) -> Result<Loaded> {
    let record = one(input, options)?;
    let leads = leads_of(&record, options.lead.as_deref())?;
    let work = record.duration_s();
    let run = Box::new(move || {
        std::hint::black_box(beats::detect(&record, leads));
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "seconds of ECG",
        run,
    })
}

/// Reading in pieces is part of the work: a day does not stand in memory.
pub(super) fn load_holter(input: &[PathBuf], options: &KernelOptions) -> Result<Loaded> {
    let [path] = input else {
        bail!("ECG kernels take one record, not {}", input.len());
    };
    let (path, shape) = (path.clone(), options.shape.clone());
    let work = holter::duration_s(&path, &shape)?;
    let run = Box::new(move || {
        std::hint::black_box(holter::analyze(&path, &shape)?);
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "seconds of ECG",
        run,
    })
}

pub(super) fn load_analyze(input: &[PathBuf], options: &KernelOptions) -> Result<Loaded> {
    let record = one(input, options)?;
    let work = record.duration_s();
    let run = Box::new(move || {
        std::hint::black_box(engine::ecg::analyze(&record));
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "seconds of ECG",
        run,
    })
}
