//! The result in the sentences of a report, Chinese or English; a proposal until a physician signs.

use super::report::{Ectopy, Holter, Measured, Place};
use std::fmt::Write as _;

/// Hours, minutes and seconds from the begin.
fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", whole / 3_600, whole / 60 % 60, whole % 60)
}

fn place(place: Option<Place>) -> String {
    place.map_or_else(
        || "-".to_owned(),
        |place| format!("{:.0} ({})", place.value, clock(place.at_s)),
    )
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

fn measured(value: &Measured, digits: usize) -> String {
    number(value.value, digits)
}

/// The largest shift of ST of a lead, as text.
fn shifts(holter: &Holter, none: &str) -> String {
    let mut out = Vec::new();
    for lead in &holter.st {
        let largest = lead.episodes.iter().max_by_key(|e| e.peak_uv.abs());
        if let Some(episode) = largest {
            let mv = f64::from(episode.peak_uv) / 1e3;
            out.push(format!(
                "{} {mv:+.2} mV ({})",
                lead.lead,
                clock(episode.peak_at_s)
            ));
        }
    }
    if out.is_empty() {
        none.to_owned()
    } else {
        out.join(", ")
    }
}

/// Lines in Chinese.
#[must_use]
pub fn summary_zh(holter: &Holter) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{text}");
    };
    let (rate, pauses, atrial) = (&holter.heart_rate, &holter.pauses, &holter.atrial_fibrillation);
    line("动态心电图自动分析（机器建议，未经医师审核）".to_owned());
    line(format!(
        "记录时长 {}，可分析 {}，剔除 {}（{} 段，导联脱落或干扰）",
        clock(holter.duration_s),
        clock(holter.quality.readable_s),
        clock(holter.quality.excluded_s),
        holter.quality.excluded_count
    ));
    line(format!(
        "总心搏 {} 次；平均心率 {} 次/分，最快 {}，最慢 {}",
        holter.beats.total,
        number(rate.mean_bpm, 0),
        place(rate.highest),
        place(rate.lowest)
    ));
    line(ectopy_zh("室性", &holter.ventricular));
    line(ectopy_zh("室上性", &holter.supraventricular));
    let longest = pauses.longest.as_ref().map_or_else(String::new, |pause| {
        format!("，最长 {:.2} 秒（{}）", pause.duration_s, clock(pause.at_s))
    });
    line(format!(
        "≥2.0 秒长间歇 {} 次，≥3.0 秒 {} 次{longest}",
        pauses.count, pauses.count_3_s
    ));
    line(format!(
        "心房颤动 {} 阵，共 {}，负荷 {} %",
        atrial.count,
        clock(atrial.duration_s),
        number(atrial.burden_percent, 1)
    ));
    line(format!(
        "ST 段偏移：{}",
        shifts(holter, "未见 ≥0.1 mV 且持续 1 分钟者")
    ));
    let hrv = &holter.variability;
    line(format!(
        "心率变异：SDNN {} ms，SDANN {} ms，RMSSD {} ms，pNN50 {} %，LF/HF {}",
        measured(&hrv.sdnn_ms, 0),
        measured(&hrv.sdann_ms, 0),
        measured(&hrv.rmssd_ms, 0),
        measured(&hrv.pnn50_percent, 1),
        measured(&hrv.lf_hf, 2)
    ));
    for strip in &holter.strips {
        line(format!("  {}  {}", clock(strip.from_s), strip.text_zh));
    }
    out
}

fn ectopy_zh(origin: &str, ectopy: &Ectopy) -> String {
    let mut text = format!(
        "{origin}早搏 {} 次（{} %）：单发 {}，成对 {}，连搏 {} 阵，二联律 {} 阵，三联律 {} 阵",
        ectopy.beats,
        number(ectopy.share_percent, 2),
        ectopy.single,
        ectopy.couplets,
        ectopy.runs,
        ectopy.bigeminy.episodes,
        ectopy.trigeminy.episodes
    );
    if let Some(run) = &ectopy.longest_run {
        let (beats, rate, at) = (run.beats, run.rate_bpm, clock(run.at_s));
        let _ = write!(text, "；最长 {beats} 个（{rate:.0} 次/分，{at}）");
    }
    text
}

/// Lines in English.
#[must_use]
pub fn summary_en(holter: &Holter) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    let (rate, pauses, atrial) = (&holter.heart_rate, &holter.pauses, &holter.atrial_fibrillation);
    line("Holter analysis (machine proposal, not reviewed)".to_owned());
    line(format!(
        "Recorded {}, readable {}, excluded {} ({} stretches of lead off or noise)",
        clock(holter.duration_s),
        clock(holter.quality.readable_s),
        clock(holter.quality.excluded_s),
        holter.quality.excluded_count
    ));
    line(format!(
        "{} beats; mean rate {}/min, highest {}, lowest {}",
        holter.beats.total,
        number(rate.mean_bpm, 0),
        place(rate.highest),
        place(rate.lowest)
    ));
    line(ectopy_en("Ventricular", &holter.ventricular));
    line(ectopy_en("Supraventricular", &holter.supraventricular));
    let longest = pauses.longest.as_ref().map_or_else(String::new, |pause| {
        format!(", the longest {:.2} s ({})", pause.duration_s, clock(pause.at_s))
    });
    line(format!(
        "{} pauses of 2.0 s and more, {} of 3.0 s{longest}",
        pauses.count, pauses.count_3_s
    ));
    line(format!(
        "Atrial fibrillation: {} episodes, {}, burden {} %",
        atrial.count,
        clock(atrial.duration_s),
        number(atrial.burden_percent, 1)
    ));
    line(format!(
        "ST shift: {}",
        shifts(holter, "none of 0.1 mV for a minute")
    ));
    let hrv = &holter.variability;
    line(format!(
        "Heart rate variability: SDNN {} ms, SDANN {} ms, RMSSD {} ms, pNN50 {} %, LF/HF {}",
        measured(&hrv.sdnn_ms, 0),
        measured(&hrv.sdann_ms, 0),
        measured(&hrv.rmssd_ms, 0),
        measured(&hrv.pnn50_percent, 1),
        measured(&hrv.lf_hf, 2)
    ));
    for strip in &holter.strips {
        line(format!("  {}  {}", clock(strip.from_s), strip.text_en));
    }
    out
}

fn ectopy_en(origin: &str, ectopy: &Ectopy) -> String {
    let mut text = format!(
        "{origin} beats: {} ({} %), single {}, couplets {}, runs {}, bigeminy {}, trigeminy {}",
        ectopy.beats,
        number(ectopy.share_percent, 2),
        ectopy.single,
        ectopy.couplets,
        ectopy.runs,
        ectopy.bigeminy.episodes,
        ectopy.trigeminy.episodes
    );
    if let Some(run) = &ectopy.longest_run {
        let (beats, rate, at) = (run.beats, run.rate_bpm, clock(run.at_s));
        let _ = write!(text, "; longest run {beats} beats ({rate:.0}/min, {at})");
    }
    text
}
